use hims_domain::medication::{Details, Event};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::{Projected, derived_id};
use crate::machinery::table::table;

table! {
    /// One row per product of the catalogue.
    MedicationRow in "medications", stamped, search "({q} <% name or name ilike '%' || {q} || '%')" {
        /// The product.
        id: Uuid [indexed],
        /// Its full name.
        name: String [indexed],
        /// The name of its substance.
        generic_name: Option<String> [indexed],
        /// The name that its maker gave it.
        brand_name: Option<String>,
        /// How much of the substance is in one unit.
        strength: Option<String>,
        /// Its form.
        form: Option<String>,
        /// How it is given.
        route: Option<String>,
        /// The class of drugs that it belongs to.
        drug_class: Option<String> [indexed],
        /// Whether the law controls it.
        controlled_substance: bool,
        /// The schedule of a controlled substance.
        dea_schedule: Option<String>,
        /// Whether it is given out on prescription only.
        requires_prescription: bool,
        /// The RxNorm concept of the product.
        rxnorm_code: Option<String> [indexed],
        /// Whether it can be prescribed.
        is_active: bool [indexed],
    }
}

table! {
    /// One row per ingredient of a product.
    IngredientRow in "medication_ingredients", children of medication_id, stamped version {
        /// Derived from product and ingredient.
        id: Uuid [indexed],
        /// The product.
        medication_id: Uuid [indexed],
        /// The RxNorm concept of the ingredient.
        rxnorm_ingredient: String [indexed],
    }
}

fn set_details(row: &mut MedicationRow, it: &Details) {
    fn text<const MAX: usize>(it: Option<&hims_domain::values::Text<MAX>>) -> Option<String> {
        it.map(|it| it.0.clone())
    }
    row.name.clone_from(&it.name.0);
    row.generic_name = text(it.generic_name.as_ref());
    row.brand_name = text(it.brand_name.as_ref());
    row.strength = text(it.strength.as_ref());
    row.form = text(it.form.as_ref());
    row.route = text(it.route.as_ref());
    row.drug_class = text(it.drug_class.as_ref());
    row.controlled_substance = it.controlled_substance;
    row.dea_schedule = text(it.dea_schedule.as_ref());
    row.requires_prescription = it.requires_prescription;
    row.rxnorm_code = text(it.rxnorm_code.as_ref());
}

fn ingredients(event: &Projected<'_, Event>, it: &Details) -> Vec<IngredientRow> {
    let row = |code: &hims_domain::values::Text<20>| IngredientRow {
        id: derived_id(event.stream_id, &[code.as_str()]),
        medication_id: event.stream_id,
        rxnorm_ingredient: code.0.clone(),
        stamps: event.stamps(),
    };
    it.ingredients.iter().map(row).collect()
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    medications: &mut Changes<'e, MedicationRow>,
    parts: &mut Changes<'e, IngredientRow>,
) {
    match event.data {
        Event::Added(details) => {
            let mut row = MedicationRow {
                id: event.stream_id,
                name: String::new(),
                generic_name: None,
                brand_name: None,
                strength: None,
                form: None,
                route: None,
                drug_class: None,
                controlled_substance: false,
                dea_schedule: None,
                requires_prescription: true,
                rxnorm_code: None,
                is_active: true,
                stamps: event.stamps(),
            };
            set_details(&mut row, details);
            medications.insert(row);
            parts.replace(event.stream_id, ingredients(event, details));
        }
        Event::Changed(details) => {
            medications.change(event, |row| set_details(row, details));
            parts.replace(event.stream_id, ingredients(event, details));
        }
        Event::Deactivated => medications.change(event, |row| row.is_active = false),
        Event::Reactivated => medications.change(event, |row| row.is_active = true),
    }
}
