use hims_domain::department::{Details, Event};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per department.
    DepartmentRow in "departments", catalogue for everybody, stamped {
        /// The department.
        id: Uuid [indexed],
        /// The short code of the department, unique in the hospital.
        code: String [indexed],
        /// The name of the department.
        name: String,
        /// What the department does.
        description: Option<String>,
        /// The department of which this department is a part.
        parent_id: Option<Uuid> [indexed],
        /// The time zone of the department (IANA database), such as `America/New_York`.
        time_zone: String,
        /// The phone number of the department in E.164.
        phone: Option<String>,
        /// The user who leads the department.
        head_user_id: Option<Uuid> [indexed],
        /// Whether the department is open. A closed department takes no new appointments, rooms or staff.
        is_active: bool,
    }
}

fn set_details(row: &mut DepartmentRow, details: &Details) {
    row.code.clone_from(&details.code.0);
    row.name.clone_from(&details.name.0);
    row.description = text(details.description.as_ref());
    row.parent_id = details.parent_id.map(Uuid::from);
    row.time_zone.clone_from(&details.time_zone.0);
    row.phone = details.phone.as_ref().map(|it| it.as_str().to_owned());
    row.head_user_id = details.head_user_id.map(Uuid::from);
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, DepartmentRow>) {
    match event.data {
        Event::Opened(details) => {
            let mut row = DepartmentRow {
                id: event.stream_id,
                code: String::new(),
                name: String::new(),
                description: None,
                parent_id: None,
                time_zone: String::new(),
                phone: None,
                head_user_id: None,
                is_active: true,
                stamps: event.stamps(),
            };
            set_details(&mut row, details);
            rows.insert(row);
        }
        Event::Changed(details) => rows.change(event, |row| set_details(row, details)),
        Event::Closed => rows.change(event, |row| row.is_active = false),
        Event::Reopened => rows.change(event, |row| row.is_active = true),
    }
}
