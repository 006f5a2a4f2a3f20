use std::ops::RangeInclusive;

use chrono::{Months, NaiveDate};

use super::{BirthDatePrecision, BloodType, EmergencyContact, Gender};
use crate::values::{Country, Email, Name, PartialDate, Phone, Ssn, Text};
use crate::{Personal, described};

described! {
    /// Who a patient is and how to reach them.
    pub struct Demographics {
        /// Given name of the patient; left out for a patient who has only one name, which is the family name.
        pub first_name: Option<Personal<Name<100>>>,
        /// Family name of the patient; left out for a patient of whom only the given name is known.
        pub last_name: Option<Personal<Name<100>>>,
        /// Middle name of the patient.
        pub middle_name: Option<Personal<Name<100>>>,
        /// Whether nobody knows the patient's name, such as in an emergency. A name that is given all the same is a
        /// placeholder, which is not compared with the names of other patients.
        #[serde(default)]
        pub name_unknown: bool,
        /// Date of birth, as far as it is known: `1987-03-05`, `1987-03` or `1987`; not in the future, at most 150
        /// years ago.
        pub date_of_birth: Option<Personal<PartialDate>>,
        /// How exactly the date of birth is known; follows from the date if left out.
        pub birth_date_precision: Option<BirthDatePrecision>,
        /// Administrative gender.
        pub gender: Gender,
        /// Social security number; encrypted at rest and never shown in full.
        pub ssn: Option<Personal<Ssn>>,
        /// E-mail address.
        pub email: Option<Personal<Email>>,
        /// First phone number, as people write it; stored in E.164, with the extension after `;ext=`.
        pub phone_primary: Option<Personal<Phone>>,
        /// Second phone number; stored like the first.
        pub phone_secondary: Option<Personal<Phone>>,
        /// Street and number.
        pub address_line_1: Option<Personal<Text<255>>>,
        /// Second line of the address, such as the apartment.
        pub address_line_2: Option<Personal<Text<255>>>,
        /// City or town.
        pub city: Option<Personal<Text<100>>>,
        /// State or province.
        pub state: Option<Personal<Text<50>>>,
        /// Postal code.
        pub postal_code: Option<Personal<Text<20>>>,
        /// Country (ISO 3166-1, stored as alpha-2); `US` if left out.
        pub country: Option<Personal<Country>>,
        /// Marital status.
        pub marital_status: Option<Personal<Text<20>>>,
        /// Occupation.
        pub occupation: Option<Personal<Text<100>>>,
        /// The name of the first emergency contact. Demographics that hold nothing of a contact have none.
        pub emergency_contact_name: Option<Personal<Name<200>>>,
        /// The relationship of the first emergency contact to the patient, such as `spouse`.
        pub emergency_contact_relationship: Option<Personal<Text<50>>>,
        /// The first phone number of the first emergency contact; stored like the patient's.
        pub emergency_contact_phone: Option<Personal<Phone>>,
        /// Preferred language (BCP 47); `en` if left out.
        pub preferred_language: Option<Personal<Text<50>>>,
        /// Ethnicity.
        pub ethnicity: Option<Personal<Text<50>>>,
        /// Race.
        pub race: Option<Personal<Text<50>>>,
        /// Blood group.
        pub blood_type: Option<Personal<BloodType>>,
        /// Whether the patient is an organ donor.
        #[serde(default)]
        pub organ_donor: bool,
        /// Whether the patient has an advance directive.
        #[serde(default)]
        pub advance_directive: bool,
    }
}

/// By how much an estimated date of birth may be wrong, in either direction.
const ESTIMATE: Months = Months::new(5 * 12);

impl Demographics {
    /// Shows the main fields of an emergency contact, or none.
    pub fn show_contact(&mut self, contact: Option<&EmergencyContact>) {
        self.emergency_contact_name = contact.and_then(|it| it.name.clone());
        self.emergency_contact_relationship = contact.and_then(|it| it.relationship.clone());
        self.emergency_contact_phone = contact.and_then(|it| it.phone_primary.clone());
    }

    /// The days on which the patient may have been born; `None` if the date of birth is not known.
    pub fn days_of_birth(&self) -> Option<RangeInclusive<NaiveDate>> {
        let date = self.date_of_birth.as_ref()?.known()?;
        let (first, last) = (date.first_day()?, date.last_day()?);
        if self.birth_date_precision == Some(BirthDatePrecision::Estimated) {
            return Some(first.checked_sub_months(ESTIMATE)?..=last.checked_add_months(ESTIMATE)?);
        }
        Some(first..=last)
    }

    /// The day on which the patient was born; `None` if the day is not known exactly.
    pub fn day_of_birth(&self) -> Option<NaiveDate> {
        let days = self.days_of_birth()?;
        (days.start() == days.end()).then_some(*days.start())
    }
}
