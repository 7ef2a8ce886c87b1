//! What is read of a delivery, and how faults are named.

use proptest::prelude::*;

use super::*;

const CARD: &str = "8988247000000000019";
const OTHER: &str = "8988247000000000027";

/// The SIMs as card and number.
fn sims(file: &str) -> Vec<(String, Option<String>)> {
    let sims = read(file.as_bytes()).unwrap_or_else(|bad| panic!("{file:?}: {bad}"));
    let text = |sim: Delivered| {
        let msisdn = sim.msisdn.map(|msisdn| msisdn.as_str().to_owned());
        (sim.iccid.as_str().to_owned(), msisdn)
    };
    sims.into_iter().map(text).collect()
}

fn faults(file: &str) -> Vec<(usize, Problem)> {
    let bad = read(file.as_bytes()).unwrap_err();
    assert_eq!(bad.more, 0);
    bad.lines.into_iter().map(|bad| (bad.line, bad.problem)).collect()
}

#[test]
fn every_spelling_of_a_delivery_is_read() {
    let number = Some("882470000000001".to_owned());
    for (file, expected) in [
        // A delivery of cards: no row has a number.
        (
            format!(
                "TransatelId;Msisdn;Release;IccId;HLRStatus;Pin1;Puk1\r\n77;;1.0;{CARD};Available;0000;12345678\r\n"
            ),
            None,
        ),
        // As it is documented.
        (
            format!(
                "TransatelId;MSISDN;Release;ICCID;Status;PIN;PUK;ActivationCode\n77;882470000000001;1;{CARD};x;1;2;LPA:1$a$b\n"
            ),
            number.clone(),
        ),
        // An export in French, in another character set.
        (
            format!("ICCID,MSISDN,Statut de provisioning\n{CARD},+882470000000001,\"Pré-activée, oui\"\n"),
            number.clone(),
        ),
        // From a spreadsheet.
        (
            format!("\u{feff}\"Sim Serial\"\t\"MSISDN\"\t\t\r\n\"{CARD}F\"\t\" 88247 0000000001 \"\t\t\r\n"),
            number.clone(),
        ),
        (format!("msisdn;iccid\n'882470000000001;=\"{CARD}\"\n"), number),
        // Blank lines, old ends of lines, and none at the end.
        (format!("\n  \n;;;\nICC-ID;PUK\n\n \n;\n{CARD}"), None),
        (format!("iccid\r\r{CARD}\r"), None),
    ] {
        let found = sims(&file);
        let [(card, msisdn)] = &found[..] else {
            panic!("{file:?}: {found:?}")
        };
        assert_eq!((card.as_str(), msisdn), (CARD, &expected), "{file:?}");
    }
    let latin = [
        b"ICCID;Statut\n".as_slice(),
        CARD.as_bytes(),
        b";Pr\xe9-activ\xe9e\n",
    ]
    .concat();
    assert_eq!(read(&latin).unwrap().len(), 1);
}

#[test]
fn the_order_of_the_file_is_kept() {
    let found = sims(&format!("IccId\n{OTHER}\n{CARD}\n"));
    assert_eq!(found, [(OTHER.to_owned(), None), (CARD.to_owned(), None)]);
}

#[test]
fn every_bad_line_is_named_with_its_number() {
    let file = format!(
        "Msisdn;IccId;Pin1\r\n;{CARD};1\r\n\r\n;;5\r\n;89X;1\r\n12;{OTHER};1\r\n;8.98825E+18;1\r\n;{CARD}F;1\r\n;{OTHER};1;2;;\r\n"
    );
    let expected = [
        (4, Problem::Missing(Column::Iccid)),
        (5, Problem::NotAnIccid),
        (6, Problem::NotAnMsisdn),
        (7, Problem::NotAnIccid),
        (8, Problem::Repeated { first: 2 }),
        (
            9,
            Problem::TooManyValues {
                values: 4,
                columns: 3,
            },
        ),
    ];
    assert_eq!(faults(&file), expected);
    for (file, line, problem) in [
        ("", 1, Problem::Empty),
        ("\n \n;;\n", 1, Problem::Empty),
        ("\nName;Pin\n1;2\n", 2, Problem::NoIccid),
        // Without a header.
        ("8988247000000000019;1\n", 1, Problem::NoIccid),
        ("IccId;Icc;Pin\n1;2;3\n", 1, Problem::Ambiguous(Column::Iccid)),
        (
            "IccId;Msisdn;MSISDN\n1;2;3\n",
            1,
            Problem::Ambiguous(Column::Msisdn),
        ),
        ("\n\nIccId\n\n;\n", 3, Problem::NoSim),
        // Otherwise all SIMs that follow were a part of the value.
        (
            "Release;IccId\n1;8988247000000000019\n\"1;8988247000000000027\n2;8988247000000000035\n",
            3,
            Problem::OpenQuote,
        ),
    ] {
        assert_eq!(faults(file), [(line, problem)], "{file:?}");
    }
    let utf16: Vec<u8> = "\u{feff}ICCID"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(read(&utf16).unwrap_err().lines[0].problem, Problem::Utf16);
}

#[test]
fn a_report_is_bounded_and_names_no_value() {
    let rows: String = (0..120)
        .map(|row| format!("8988247000000{row};12345678\n"))
        .collect();
    let file = format!("IccId;Puk1\n{CARD};1\n{}", rows.replace("8988", "x988"));
    let bad = read(file.as_bytes()).unwrap_err();
    assert_eq!((bad.lines.len(), bad.more), (20, 100));
    let text = bad.to_string();
    assert!(
        text.starts_with("line 3: column ICCID: is not 13 to 20 digits\nline 4:"),
        "{text}"
    );
    assert!(text.ends_with("\nand 100 more"), "{text}");
    assert!(!text.contains("988247"), "{text}");
}

/// Pieces that files are made of.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"IccId"[..]),
        Just(&b"Msisdn"[..]),
        Just(&b"8988247000000000019"[..]),
        Just(&b"8988247000000000027"[..]),
        Just(&b"\""[..]),
        Just(&b";"[..]),
        Just(&b","[..]),
        Just(&b"\r"[..]),
        Just(&b"\n"[..]),
        Just(&b"\xef\xbb\xbf"[..]),
        Just(&b" \xe9"[..]),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes in any::<Vec<u8>>(), pieces in pieces()) {
        crate::service::fuzzing::delivery(&bytes);
        crate::service::fuzzing::delivery(&pieces);
    }

    #[test]
    fn lines_are_counted_as_an_editor_does(blank in prop::collection::vec(0..4_usize, 1..30), crlf: bool) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut file = format!("IccId{end}");
        let mut expected = Vec::new();
        for lines in blank {
            file.push_str(&end.repeat(lines));
            file.push_str(&format!("bad{end}"));
            expected.push(file.matches('\n').count());
        }
        let bad = read(file.as_bytes()).unwrap_err();
        let named: Vec<usize> = bad.lines.iter().map(|bad| bad.line).collect();
        prop_assert_eq!(&named[..], &expected[..expected.len().min(MOST_NAMED)]);
        prop_assert_eq!(bad.more, expected.len() - named.len());
    }
}
