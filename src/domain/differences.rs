//! In which fields two requests differ.

/// The names of the fields that are not the same.
pub(super) fn differing<const N: usize>(fields: [(bool, &'static str); N]) -> Vec<&'static str> {
    let different = fields.into_iter().filter(|(is_same, _)| !is_same);
    different.map(|(_, name)| name).collect()
}
