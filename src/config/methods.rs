//! The contract's methods by name, and patterns over them.

/// The services and their methods, written from the contract by `build.rs`.
pub const METHODS: &[(&str, &[&str])] = include!(concat!(env!("OUT_DIR"), "/methods.rs"));

/// Methods that may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// `*`
    Everything,
    /// `Service/*`
    Service(&'static str),
    /// `Service/Method`
    Method(&'static str, &'static str),
}

impl Grant {
    /// Reads a pattern. `None` for one that fits no method.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everything);
        }
        let (service, method) = text.split_once('/')?;
        let (service, methods) = METHODS.iter().find(|(name, _)| *name == service)?;
        if method == "*" {
            return Some(Self::Service(service));
        }
        let method = methods.iter().find(|name| **name == method)?;
        Some(Self::Method(service, method))
    }

    /// Whether it covers a method.
    pub fn covers(self, service: &str, method: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Service(own) => own == service,
            Self::Method(own, name) => own == service && name == method,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_it_names_and_nothing_else() {
        for (pattern, service, method, covered) in [
            ("*", "Provisioning", "CreateOrder", true),
            ("Catalog/*", "Catalog", "GetProduct", true),
            ("Catalog/*", "Provisioning", "CreateOrder", false),
            ("Provisioning/GetOrder", "Provisioning", "GetOrder", true),
            ("Provisioning/GetOrder", "Provisioning", "CreateOrder", false),
            ("Esim/GetEsim", "Esim", "GetInstallation", false),
        ] {
            let grant = Grant::parse(pattern).unwrap();
            assert_eq!(
                grant.covers(service, method),
                covered,
                "{pattern} {service}/{method}"
            );
        }
        for text in [
            "",
            "Catalog",
            "catalog/*",
            "Catalog/",
            "Catalog/Get*",
            "Catalog/CreateOrder",
            "connectivity.v1.Catalog/*",
            "*/GetProduct",
            "Catalog/GetProduct/x",
        ] {
            assert_eq!(Grant::parse(text), None, "{text}");
        }
    }
}
