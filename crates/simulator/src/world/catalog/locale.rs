//! Languages of the catalog.

/// Languages that the simulator's texts exist in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Locale {
    #[default]
    English,
    French,
}

impl Locale {
    pub(crate) const COUNT: usize = 2;

    /// The first language of an `Accept-Language` that there is, by weight; English otherwise.
    pub(crate) fn of(accept_language: &str) -> Self {
        let mut wanted: Vec<(f32, Self)> = accept_language
            .split(',')
            .filter_map(|range| {
                let (tag, weight) = range.split_once(";q=").unwrap_or((range, "1"));
                let primary = tag.trim().split(['-', '_']).next()?.to_ascii_lowercase();
                let locale = match primary.as_str() {
                    "en" => Self::English,
                    "fr" => Self::French,
                    _ => return None,
                };
                Some((weight.trim().parse().unwrap_or(0.0), locale))
            })
            .collect();
        // Stable: of equal weights the first named wins.
        wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
        wanted.first().map(|(_, locale)| *locale).unwrap_or_default()
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::English => 0,
            Self::French => 1,
        }
    }

    /// As the catalog spells it.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::English => "en-US",
            Self::French => "fr-FR",
        }
    }
}
