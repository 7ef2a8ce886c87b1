//! Secrets in files.

/// The secret in the text of a file: without a byte order mark, and without
/// the line ends that editors and tools add.
pub fn secret_in(text: &str) -> &str {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    text.trim_end_matches(['\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::secret_in;

    #[test]
    fn what_tools_add_is_no_part_of_a_secret() {
        for text in ["s3cret", "s3cret\n", "s3cret\r\n", "\u{FEFF}s3cret\n\n"] {
            assert_eq!(secret_in(text), "s3cret", "{text:?}");
        }
        assert_eq!(secret_in(" s3cret "), " s3cret ");
    }
}
