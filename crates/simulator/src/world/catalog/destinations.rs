//! Where the catalog's products work: countries and the regions that products cover together.

/// A country or territory with networks of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) alpha2: &'static str,
    pub(crate) alpha3: &'static str,
    pub(crate) english: &'static str,
    pub(crate) french: &'static str,
    pub(crate) region: Region,
}

impl Destination {
    /// The destination of an alpha-2 or alpha-3 code in capitals.
    pub(crate) fn find(code: &str) -> Option<&'static Self> {
        DESTINATIONS
            .iter()
            .find(|destination| destination.alpha2 == code || destination.alpha3 == code)
    }
}

/// Countries that are sold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Region {
    Europe,
    Africa,
    MiddleEast,
    Asia,
    Oceania,
    NorthAmerica,
    LatinAmerica,
    Caribbean,
}

impl Region {
    pub(crate) const ALL: [Self; 8] = [
        Self::Europe,
        Self::Africa,
        Self::MiddleEast,
        Self::Asia,
        Self::Oceania,
        Self::NorthAmerica,
        Self::LatinAmerica,
        Self::Caribbean,
    ];

    pub(crate) fn english(self) -> &'static str {
        match self {
            Self::Europe => "Europe",
            Self::Africa => "Africa",
            Self::MiddleEast => "Middle East",
            Self::Asia => "Asia",
            Self::Oceania => "Oceania",
            Self::NorthAmerica => "North America",
            Self::LatinAmerica => "Latin America",
            Self::Caribbean => "Caribbean",
        }
    }

    pub(crate) fn french(self) -> &'static str {
        match self {
            Self::Europe => "Europe",
            Self::Africa => "Afrique",
            Self::MiddleEast => "Moyen-Orient",
            Self::Asia => "Asie",
            Self::Oceania => "Océanie",
            Self::NorthAmerica => "Amérique du Nord",
            Self::LatinAmerica => "Amérique latine",
            Self::Caribbean => "Caraïbes",
        }
    }
}

const fn destination(
    alpha2: &'static str,
    alpha3: &'static str,
    english: &'static str,
    french: &'static str,
    region: Region,
) -> Destination {
    Destination {
        alpha2,
        alpha3,
        english,
        french,
        region,
    }
}

use Region::{Africa, Asia, Caribbean, Europe, LatinAmerica, MiddleEast, NorthAmerica, Oceania};

pub(crate) static DESTINATIONS: &[Destination] = &[
    destination("AL", "ALB", "Albania", "Albanie", Europe),
    destination("AD", "AND", "Andorra", "Andorre", Europe),
    destination("AT", "AUT", "Austria", "Autriche", Europe),
    destination("BY", "BLR", "Belarus", "Bélarus", Europe),
    destination("BE", "BEL", "Belgium", "Belgique", Europe),
    destination(
        "BA",
        "BIH",
        "Bosnia and Herzegovina",
        "Bosnie-Herzégovine",
        Europe,
    ),
    destination("BG", "BGR", "Bulgaria", "Bulgarie", Europe),
    destination("HR", "HRV", "Croatia", "Croatie", Europe),
    destination("CY", "CYP", "Cyprus", "Chypre", Europe),
    destination("CZ", "CZE", "Czechia", "Tchéquie", Europe),
    destination("DK", "DNK", "Denmark", "Danemark", Europe),
    destination("EE", "EST", "Estonia", "Estonie", Europe),
    destination("FO", "FRO", "Faroe Islands", "Îles Féroé", Europe),
    destination("FI", "FIN", "Finland", "Finlande", Europe),
    destination("FR", "FRA", "France", "France", Europe),
    destination("DE", "DEU", "Germany", "Allemagne", Europe),
    destination("GI", "GIB", "Gibraltar", "Gibraltar", Europe),
    destination("GR", "GRC", "Greece", "Grèce", Europe),
    destination("GG", "GGY", "Guernsey", "Guernesey", Europe),
    destination("HU", "HUN", "Hungary", "Hongrie", Europe),
    destination("IS", "ISL", "Iceland", "Islande", Europe),
    destination("IE", "IRL", "Ireland", "Irlande", Europe),
    destination("IM", "IMN", "Isle of Man", "Île de Man", Europe),
    destination("IT", "ITA", "Italy", "Italie", Europe),
    destination("JE", "JEY", "Jersey", "Jersey", Europe),
    destination("XK", "XKX", "Kosovo", "Kosovo", Europe),
    destination("LV", "LVA", "Latvia", "Lettonie", Europe),
    destination("LI", "LIE", "Liechtenstein", "Liechtenstein", Europe),
    destination("LT", "LTU", "Lithuania", "Lituanie", Europe),
    destination("LU", "LUX", "Luxembourg", "Luxembourg", Europe),
    destination("MT", "MLT", "Malta", "Malte", Europe),
    destination("MD", "MDA", "Moldova", "Moldavie", Europe),
    destination("MC", "MCO", "Monaco", "Monaco", Europe),
    destination("ME", "MNE", "Montenegro", "Monténégro", Europe),
    destination("NL", "NLD", "Netherlands", "Pays-Bas", Europe),
    destination("MK", "MKD", "North Macedonia", "Macédoine du Nord", Europe),
    destination("NO", "NOR", "Norway", "Norvège", Europe),
    destination("PL", "POL", "Poland", "Pologne", Europe),
    destination("PT", "PRT", "Portugal", "Portugal", Europe),
    destination("RO", "ROU", "Romania", "Roumanie", Europe),
    destination("RU", "RUS", "Russia", "Russie", Europe),
    destination("SM", "SMR", "San Marino", "Saint-Marin", Europe),
    destination("RS", "SRB", "Serbia", "Serbie", Europe),
    destination("SK", "SVK", "Slovakia", "Slovaquie", Europe),
    destination("SI", "SVN", "Slovenia", "Slovénie", Europe),
    destination("ES", "ESP", "Spain", "Espagne", Europe),
    destination("SE", "SWE", "Sweden", "Suède", Europe),
    destination("CH", "CHE", "Switzerland", "Suisse", Europe),
    destination("UA", "UKR", "Ukraine", "Ukraine", Europe),
    destination("GB", "GBR", "United Kingdom", "Royaume-Uni", Europe),
    destination("VA", "VAT", "Vatican City", "Vatican", Europe),
    destination("DZ", "DZA", "Algeria", "Algérie", Africa),
    destination("AO", "AGO", "Angola", "Angola", Africa),
    destination("BJ", "BEN", "Benin", "Bénin", Africa),
    destination("BW", "BWA", "Botswana", "Botswana", Africa),
    destination("BF", "BFA", "Burkina Faso", "Burkina Faso", Africa),
    destination("BI", "BDI", "Burundi", "Burundi", Africa),
    destination("CM", "CMR", "Cameroon", "Cameroun", Africa),
    destination("CV", "CPV", "Cape Verde", "Cap-Vert", Africa),
    destination(
        "CF",
        "CAF",
        "Central African Republic",
        "République centrafricaine",
        Africa,
    ),
    destination("TD", "TCD", "Chad", "Tchad", Africa),
    destination("KM", "COM", "Comoros", "Comores", Africa),
    destination("CG", "COG", "Congo", "Congo", Africa),
    destination("CD", "COD", "DR Congo", "RD Congo", Africa),
    destination("CI", "CIV", "Cote d'Ivoire", "Côte d'Ivoire", Africa),
    destination("DJ", "DJI", "Djibouti", "Djibouti", Africa),
    destination("EG", "EGY", "Egypt", "Égypte", Africa),
    destination("GQ", "GNQ", "Equatorial Guinea", "Guinée équatoriale", Africa),
    destination("SZ", "SWZ", "Eswatini", "Eswatini", Africa),
    destination("ET", "ETH", "Ethiopia", "Éthiopie", Africa),
    destination("GA", "GAB", "Gabon", "Gabon", Africa),
    destination("GM", "GMB", "Gambia", "Gambie", Africa),
    destination("GH", "GHA", "Ghana", "Ghana", Africa),
    destination("GN", "GIN", "Guinea", "Guinée", Africa),
    destination("GW", "GNB", "Guinea-Bissau", "Guinée-Bissau", Africa),
    destination("KE", "KEN", "Kenya", "Kenya", Africa),
    destination("LS", "LSO", "Lesotho", "Lesotho", Africa),
    destination("LR", "LBR", "Liberia", "Libéria", Africa),
    destination("LY", "LBY", "Libya", "Libye", Africa),
    destination("MG", "MDG", "Madagascar", "Madagascar", Africa),
    destination("MW", "MWI", "Malawi", "Malawi", Africa),
    destination("ML", "MLI", "Mali", "Mali", Africa),
    destination("MR", "MRT", "Mauritania", "Mauritanie", Africa),
    destination("MU", "MUS", "Mauritius", "Maurice", Africa),
    destination("YT", "MYT", "Mayotte", "Mayotte", Africa),
    destination("MA", "MAR", "Morocco", "Maroc", Africa),
    destination("MZ", "MOZ", "Mozambique", "Mozambique", Africa),
    destination("NA", "NAM", "Namibia", "Namibie", Africa),
    destination("NE", "NER", "Niger", "Niger", Africa),
    destination("NG", "NGA", "Nigeria", "Nigéria", Africa),
    destination("RE", "REU", "Reunion", "La Réunion", Africa),
    destination("RW", "RWA", "Rwanda", "Rwanda", Africa),
    destination(
        "ST",
        "STP",
        "Sao Tome and Principe",
        "Sao Tomé-et-Principe",
        Africa,
    ),
    destination("SN", "SEN", "Senegal", "Sénégal", Africa),
    destination("SC", "SYC", "Seychelles", "Seychelles", Africa),
    destination("SL", "SLE", "Sierra Leone", "Sierra Leone", Africa),
    destination("SO", "SOM", "Somalia", "Somalie", Africa),
    destination("ZA", "ZAF", "South Africa", "Afrique du Sud", Africa),
    destination("SS", "SSD", "South Sudan", "Soudan du Sud", Africa),
    destination("SD", "SDN", "Sudan", "Soudan", Africa),
    destination("TZ", "TZA", "Tanzania", "Tanzanie", Africa),
    destination("TG", "TGO", "Togo", "Togo", Africa),
    destination("TN", "TUN", "Tunisia", "Tunisie", Africa),
    destination("UG", "UGA", "Uganda", "Ouganda", Africa),
    destination("ZM", "ZMB", "Zambia", "Zambie", Africa),
    destination("ZW", "ZWE", "Zimbabwe", "Zimbabwe", Africa),
    destination("BH", "BHR", "Bahrain", "Bahreïn", MiddleEast),
    destination("IR", "IRN", "Iran", "Iran", MiddleEast),
    destination("IQ", "IRQ", "Iraq", "Irak", MiddleEast),
    destination("IL", "ISR", "Israel", "Israël", MiddleEast),
    destination("JO", "JOR", "Jordan", "Jordanie", MiddleEast),
    destination("KW", "KWT", "Kuwait", "Koweït", MiddleEast),
    destination("LB", "LBN", "Lebanon", "Liban", MiddleEast),
    destination("OM", "OMN", "Oman", "Oman", MiddleEast),
    destination("PS", "PSE", "Palestine", "Palestine", MiddleEast),
    destination("QA", "QAT", "Qatar", "Qatar", MiddleEast),
    destination("SA", "SAU", "Saudi Arabia", "Arabie saoudite", MiddleEast),
    destination("SY", "SYR", "Syria", "Syrie", MiddleEast),
    destination("TR", "TUR", "Turkey", "Turquie", MiddleEast),
    destination(
        "AE",
        "ARE",
        "United Arab Emirates",
        "Émirats arabes unis",
        MiddleEast,
    ),
    destination("YE", "YEM", "Yemen", "Yémen", MiddleEast),
    destination("AF", "AFG", "Afghanistan", "Afghanistan", Asia),
    destination("AM", "ARM", "Armenia", "Arménie", Asia),
    destination("AZ", "AZE", "Azerbaijan", "Azerbaïdjan", Asia),
    destination("BD", "BGD", "Bangladesh", "Bangladesh", Asia),
    destination("BT", "BTN", "Bhutan", "Bhoutan", Asia),
    destination("BN", "BRN", "Brunei", "Brunei", Asia),
    destination("KH", "KHM", "Cambodia", "Cambodge", Asia),
    destination("CN", "CHN", "China", "Chine", Asia),
    destination("GE", "GEO", "Georgia", "Géorgie", Asia),
    destination("HK", "HKG", "Hong Kong", "Hong Kong", Asia),
    destination("IN", "IND", "India", "Inde", Asia),
    destination("ID", "IDN", "Indonesia", "Indonésie", Asia),
    destination("JP", "JPN", "Japan", "Japon", Asia),
    destination("KZ", "KAZ", "Kazakhstan", "Kazakhstan", Asia),
    destination("KG", "KGZ", "Kyrgyzstan", "Kirghizstan", Asia),
    destination("LA", "LAO", "Laos", "Laos", Asia),
    destination("MO", "MAC", "Macao", "Macao", Asia),
    destination("MY", "MYS", "Malaysia", "Malaisie", Asia),
    destination("MV", "MDV", "Maldives", "Maldives", Asia),
    destination("MN", "MNG", "Mongolia", "Mongolie", Asia),
    destination("MM", "MMR", "Myanmar", "Birmanie", Asia),
    destination("NP", "NPL", "Nepal", "Népal", Asia),
    destination("PK", "PAK", "Pakistan", "Pakistan", Asia),
    destination("PH", "PHL", "Philippines", "Philippines", Asia),
    destination("SG", "SGP", "Singapore", "Singapour", Asia),
    destination("KR", "KOR", "South Korea", "Corée du Sud", Asia),
    destination("LK", "LKA", "Sri Lanka", "Sri Lanka", Asia),
    destination("TW", "TWN", "Taiwan", "Taïwan", Asia),
    destination("TJ", "TJK", "Tajikistan", "Tadjikistan", Asia),
    destination("TH", "THA", "Thailand", "Thaïlande", Asia),
    destination("TL", "TLS", "Timor-Leste", "Timor oriental", Asia),
    destination("TM", "TKM", "Turkmenistan", "Turkménistan", Asia),
    destination("UZ", "UZB", "Uzbekistan", "Ouzbékistan", Asia),
    destination("VN", "VNM", "Vietnam", "Viêt Nam", Asia),
    destination("AU", "AUS", "Australia", "Australie", Oceania),
    destination("FJ", "FJI", "Fiji", "Fidji", Oceania),
    destination("PF", "PYF", "French Polynesia", "Polynésie française", Oceania),
    destination("GU", "GUM", "Guam", "Guam", Oceania),
    destination("NC", "NCL", "New Caledonia", "Nouvelle-Calédonie", Oceania),
    destination("NZ", "NZL", "New Zealand", "Nouvelle-Zélande", Oceania),
    destination(
        "PG",
        "PNG",
        "Papua New Guinea",
        "Papouasie-Nouvelle-Guinée",
        Oceania,
    ),
    destination("WS", "WSM", "Samoa", "Samoa", Oceania),
    destination("SB", "SLB", "Solomon Islands", "Îles Salomon", Oceania),
    destination("TO", "TON", "Tonga", "Tonga", Oceania),
    destination("VU", "VUT", "Vanuatu", "Vanuatu", Oceania),
    destination("CA", "CAN", "Canada", "Canada", NorthAmerica),
    destination("MX", "MEX", "Mexico", "Mexique", NorthAmerica),
    destination("US", "USA", "United States", "États-Unis", NorthAmerica),
    destination("AR", "ARG", "Argentina", "Argentine", LatinAmerica),
    destination("BZ", "BLZ", "Belize", "Belize", LatinAmerica),
    destination("BO", "BOL", "Bolivia", "Bolivie", LatinAmerica),
    destination("BR", "BRA", "Brazil", "Brésil", LatinAmerica),
    destination("CL", "CHL", "Chile", "Chili", LatinAmerica),
    destination("CO", "COL", "Colombia", "Colombie", LatinAmerica),
    destination("CR", "CRI", "Costa Rica", "Costa Rica", LatinAmerica),
    destination("EC", "ECU", "Ecuador", "Équateur", LatinAmerica),
    destination("SV", "SLV", "El Salvador", "Salvador", LatinAmerica),
    destination("GF", "GUF", "French Guiana", "Guyane", LatinAmerica),
    destination("GT", "GTM", "Guatemala", "Guatemala", LatinAmerica),
    destination("GY", "GUY", "Guyana", "Guyana", LatinAmerica),
    destination("HN", "HND", "Honduras", "Honduras", LatinAmerica),
    destination("NI", "NIC", "Nicaragua", "Nicaragua", LatinAmerica),
    destination("PA", "PAN", "Panama", "Panama", LatinAmerica),
    destination("PY", "PRY", "Paraguay", "Paraguay", LatinAmerica),
    destination("PE", "PER", "Peru", "Pérou", LatinAmerica),
    destination("SR", "SUR", "Suriname", "Suriname", LatinAmerica),
    destination("UY", "URY", "Uruguay", "Uruguay", LatinAmerica),
    destination("VE", "VEN", "Venezuela", "Venezuela", LatinAmerica),
    destination("AI", "AIA", "Anguilla", "Anguilla", Caribbean),
    destination(
        "AG",
        "ATG",
        "Antigua and Barbuda",
        "Antigua-et-Barbuda",
        Caribbean,
    ),
    destination("AW", "ABW", "Aruba", "Aruba", Caribbean),
    destination("BS", "BHS", "Bahamas", "Bahamas", Caribbean),
    destination("BB", "BRB", "Barbados", "Barbade", Caribbean),
    destination("BM", "BMU", "Bermuda", "Bermudes", Caribbean),
    destination(
        "VG",
        "VGB",
        "British Virgin Islands",
        "Îles Vierges britanniques",
        Caribbean,
    ),
    destination("KY", "CYM", "Cayman Islands", "Îles Caïmans", Caribbean),
    destination("CU", "CUB", "Cuba", "Cuba", Caribbean),
    destination("CW", "CUW", "Curacao", "Curaçao", Caribbean),
    destination("DM", "DMA", "Dominica", "Dominique", Caribbean),
    destination(
        "DO",
        "DOM",
        "Dominican Republic",
        "République dominicaine",
        Caribbean,
    ),
    destination("GD", "GRD", "Grenada", "Grenade", Caribbean),
    destination("GP", "GLP", "Guadeloupe", "Guadeloupe", Caribbean),
    destination("HT", "HTI", "Haiti", "Haïti", Caribbean),
    destination("JM", "JAM", "Jamaica", "Jamaïque", Caribbean),
    destination("MQ", "MTQ", "Martinique", "Martinique", Caribbean),
    destination("MS", "MSR", "Montserrat", "Montserrat", Caribbean),
    destination("PR", "PRI", "Puerto Rico", "Porto Rico", Caribbean),
    destination(
        "KN",
        "KNA",
        "Saint Kitts and Nevis",
        "Saint-Christophe-et-Niévès",
        Caribbean,
    ),
    destination("LC", "LCA", "Saint Lucia", "Sainte-Lucie", Caribbean),
    destination(
        "VC",
        "VCT",
        "Saint Vincent and the Grenadines",
        "Saint-Vincent-et-les-Grenadines",
        Caribbean,
    ),
    destination("TT", "TTO", "Trinidad and Tobago", "Trinité-et-Tobago", Caribbean),
    destination(
        "TC",
        "TCA",
        "Turks and Caicos Islands",
        "Îles Turques-et-Caïques",
        Caribbean,
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_those_of_iso_3166() {
        for destination in DESTINATIONS
            .iter()
            .filter(|destination| destination.alpha2 != "XK")
        {
            let country = celes::Country::from_alpha2(destination.alpha2).unwrap();
            assert_eq!(country.alpha3, destination.alpha3, "{}", destination.english);
        }
    }

    #[test]
    fn each_destination_is_there_once() {
        let codes: BTreeSet<_> = DESTINATIONS
            .iter()
            .map(|destination| destination.alpha2)
            .collect();
        assert_eq!(codes.len(), DESTINATIONS.len());
    }
}
