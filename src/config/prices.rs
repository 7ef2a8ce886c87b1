//! `[prices]`: what products cost the company, by a file of its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::reader::{MILLISECOND, Reader};
use crate::domain::product::LONGEST_ID;
use crate::domain::{Money, PriceList};

/// What products cost the company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// The file.
    pub file: PathBuf,
    /// How often it is looked at.
    pub reload_interval: Duration,
    /// Its content when the settings were read.
    pub content: String,
    /// The list in it.
    pub list: PriceList,
}

const FILE: &str = "prices.file";

impl Prices {
    /// `None` without a file, and with one that cannot be used.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let reload_interval = reader.duration("prices.reload_interval", MILLISECOND);
        let path = reader.optional_text(FILE)?;
        let content = match std::fs::read_to_string(&path) {
            Ok(content) => content,
            Err(error) => {
                reader.problem(FILE, format!("cannot read {path}: {error}"));
                return None;
            }
        };
        match parse(&content) {
            Ok(list) => Some(Self {
                file: path.into(),
                reload_interval,
                content,
                list,
            }),
            Err(problems) => {
                for problem in problems {
                    reader.problem(FILE, format!("{path}: {problem}"));
                }
                None
            }
        }
    }
}

/// The list in a file: `PRODUCT_ID = "3.10 EUR"`, one line for each product.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(content: &str) -> Result<PriceList, Vec<String>> {
    let content = content.strip_prefix('\u{FEFF}').unwrap_or(content);
    let table = content.parse::<toml::Table>().map_err(|error| {
        let before = error.span().and_then(|span| content.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        vec![format!("line {line}: {}", error.message())]
    })?;
    let mut costs = HashMap::with_capacity(table.len());
    let mut problems = Vec::new();
    for (product, value) in table {
        if product.is_empty() || product.chars().count() > LONGEST_ID {
            problems.push(format!(
                "{product:?} is not a product id of 1 to {LONGEST_ID} characters"
            ));
            continue;
        }
        match value.as_str().and_then(Money::parse) {
            Some(cost) => {
                costs.insert(product, cost);
            }
            None => problems.push(format!(
                "{value} of {product:?} is not a cost such as \"3.10 EUR\""
            )),
        }
    }
    if costs.is_empty() && problems.is_empty() {
        // Perhaps it is being written.
        problems.push("there is no product in it".to_owned());
    }
    match problems.is_empty() {
        true => Ok(PriceList::new(costs)),
        false => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_list_names_a_cost_for_each_product() {
        let list = parse("\u{FEFF}# ours\nWW_A = \"3.10 EUR\"\n\"WW B\" = \"0 usd\"\n").unwrap();
        let shown = |product| list.cost_of(product).map(|cost| cost.to_string());
        assert_eq!(list.products(), 2);
        assert_eq!(shown("WW_A").as_deref(), Some("3.10 EUR"));
        assert_eq!(shown("WW B").as_deref(), Some("0.00 USD"));
        assert_eq!(shown("WW_C"), None);
    }

    #[test]
    fn everything_that_is_wrong_with_a_list_is_named() {
        let problems =
            parse("A = \"3,10 EUR\"\nB = 3.1\nC = \"1.00 EUR\"\n[D]\nE = \"1 EUR\"\n").unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
        for (problem, product) in problems.iter().zip(["\"A\"", "\"B\"", "\"D\""]) {
            assert!(problem.contains(product), "{problem}");
        }
        assert_eq!(parse("# nothing yet\n").unwrap_err().len(), 1);
        let too_long = format!("{} = \"1 EUR\"\n\"\" = \"1 EUR\"\n", "x".repeat(101));
        assert_eq!(parse(&too_long).unwrap_err().len(), 2);
        let [twice] = parse("A = \"1 EUR\"\n\nA = \"2 EUR\"\n")
            .unwrap_err()
            .try_into()
            .unwrap();
        assert!(twice.starts_with("line 3: "), "{twice}");
    }
}
