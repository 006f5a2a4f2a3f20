use uuid::Uuid;

/// The UUID namespace of derived ids: a UUID of version 8 whose bytes spell `hims derived ids`.
const NAMESPACE: Uuid = Uuid::from_u128(0x6869_6d73_2064_8572_a976_6564_2069_6473);

/// Derives an id from a kind and parts (UUID version 5, RFC 9562): the same kind and parts always give the same id. For
/// things that have no id of their own, such as a patient's medication list, an occurrence of a series, or a row.
///
/// Ids of different kinds never coincide, since the kind is hashed with the parts.
pub fn derived(kind: &str, parts: &[&str]) -> Uuid {
    // A part never holds the separator, since texts of the domain have no control characters.
    let name = [&[kind], parts].concat().join("\u{1f}");
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// The id of a row whose event names none (UUID version 5 in the namespace of the row's stream): the same parts always
/// give the same id.
pub fn derived_row(stream: Uuid, parts: &[&str]) -> Uuid {
    Uuid::new_v5(&stream, parts.join("\u{1f}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_parts_give_the_same_id_and_others_another() {
        let id = derived("price", &["a", "b"]);
        assert_eq!(id, derived("price", &["a", "b"]));
        assert_eq!(id.get_version_num(), 5);
        for other in [derived("price", &["ab"]), derived("price", &["b", "a"]), derived("list", &["a", "b"])] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn an_id_that_was_derived_once_is_derived_for_ever() {
        assert_eq!(derived("price", &["a", "b"]).to_string(), "5fe2efdf-5ba7-5153-939b-bd3b9a099385");
    }
}
