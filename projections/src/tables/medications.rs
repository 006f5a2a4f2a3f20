use hims_domain::medication::{Details, Event};
use hims_domain::values::Text;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::{Projected, derived_id};
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per product of the catalogue.
    MedicationRow in "medications",
    catalogue for everybody,
    stamped,
    search "({q} <% name or name ilike '%' || {q} || '%')" {
        /// The product.
        id: Uuid [indexed],
        /// The full name of the product.
        name: String [indexed],
        /// The generic name: the name of the substance.
        generic_name: Option<String> [indexed],
        /// The brand name that the manufacturer gave the product.
        brand_name: Option<String>,
        /// The amount of the substance in one unit, such as `500 mg`.
        strength: Option<String>,
        /// The dose form, such as `tablet`.
        form: Option<String>,
        /// The route by which the product is given, such as `oral`.
        route: Option<String>,
        /// The class of drugs to which the product belongs.
        drug_class: Option<String> [indexed],
        /// Whether the product is a controlled substance.
        controlled_substance: bool,
        /// The schedule of a controlled substance in the United States, `I` to `V`.
        dea_schedule: Option<String>,
        /// Whether the product needs a prescription.
        requires_prescription: bool,
        /// The RxNorm concept of the product (RXCUI).
        rxnorm_code: Option<String> [indexed],
        /// Whether the product can be prescribed.
        is_active: bool [indexed],
        /// The units of the product's lots and orders so far: UCUM codes, or words in the singular.
        units: Value,
    }
}

table! {
    /// One row per ingredient of a product.
    IngredientRow in "medication_ingredients",
    children of medication_id,
    catalogue for everybody,
    stamped version {
        /// The id of the row, derived from the product and the ingredient.
        id: Uuid [indexed],
        /// The product.
        medication_id: Uuid [indexed],
        /// The RxNorm concept of the ingredient (RXCUI).
        rxnorm_ingredient: String [indexed],
    }
}

fn set_details(row: &mut MedicationRow, details: &Details) {
    row.name.clone_from(&details.name.0);
    row.generic_name = text(details.generic_name.as_ref());
    row.brand_name = text(details.brand_name.as_ref());
    row.strength = text(details.strength.as_ref());
    row.form = text(details.form.as_ref());
    row.route = text(details.route.as_ref());
    row.drug_class = text(details.drug_class.as_ref());
    row.controlled_substance = details.controlled_substance;
    row.dea_schedule = text(details.dea_schedule.as_ref());
    row.requires_prescription = details.requires_prescription;
    row.rxnorm_code = text(details.rxnorm_code.as_ref());
}

fn ingredients(event: &Projected<'_, Event>, details: &Details) -> Vec<IngredientRow> {
    let row = |code: &Text<20>| IngredientRow {
        id: derived_id(event.stream_id, &[code.as_str()]),
        medication_id: event.stream_id,
        rxnorm_ingredient: code.0.clone(),
        stamps: event.stamps(),
    };
    details.ingredients.iter().map(row).collect()
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
                units: json!([]),
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
        Event::UnitIntroduced { unit } => medications.change(event, move |row| {
            if let Value::Array(units) = &mut row.units {
                units.push(json!(unit));
            }
        }),
    }
}
