use std::collections::BTreeSet;
use std::fmt;

use hims_domain::{Aggregate, for_each_aggregate};
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// The stored names of all variants of an enum, which the enum's `Deserialize` passes to its deserializer.
///
/// # Panics
/// When the type is no enum.
pub fn variants<E: DeserializeOwned>() -> &'static [&'static str] {
    match E::deserialize(Curious) {
        Err(Told(names)) if !names.is_empty() => names,
        _ => panic!("{} is no enum with variants", std::any::type_name::<E>()),
    }
}

/// Every event type that the aggregates can record: `patient.registered` and so on.
pub fn event_types() -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    macro_rules! add {
        ($aggregate:ty) => {
            let names = variants::<<$aggregate as Aggregate>::Event>();
            types.extend(names.iter().map(|name| format!("{}.{name}", <$aggregate as Aggregate>::STREAM)));
        };
    }
    for_each_aggregate!(add);
    types
}

/// A deserializer without a value. It returns the names that an enum passes to it as the error.
struct Curious;

/// The error of [`Curious`]: the names of the variants; empty when the type that is read is no enum.
#[derive(Debug)]
struct Told(&'static [&'static str]);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Told {}

impl serde::de::Error for Told {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }
}

impl<'de> Deserializer<'de> for Curious {
    type Error = Told;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Told> {
        Err(Told(&[]))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Told> {
        Err(Told(variants))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enum_tells_the_names_under_which_its_variants_are_stored() {
        assert_eq!(variants::<hims_domain::department::Event>(), ["opened", "changed", "closed", "reopened"]);
        assert!(event_types().contains("medication_lot.received"));
    }

    #[test]
    #[should_panic(expected = "is no enum")]
    fn a_struct_has_no_variants() {
        let _ = variants::<hims_domain::appointment::Slot>();
    }
}
