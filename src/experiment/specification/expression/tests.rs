//! Formulas against their values, and the parser against random trees that are printed and read again.

use proptest::prelude::*;

use super::*;

fn variables() -> Vec<(String, f64)> {
    vec![("side".into(), 32.0), ("fan_in".into(), 100.0)]
}

fn evaluate(text: &str) -> Result<f64, String> {
    Expression::parse(text)?.evaluate(&variables())
}

#[test]
fn formulas_have_their_values() {
    assert_eq!(evaluate("3 * side^2"), Ok(3072.0));
    assert_eq!(evaluate("sqrt(4)"), Ok(2.0));
    assert_eq!(evaluate("-side + 1"), Ok(-31.0));
    assert!((evaluate("2 / fan_in^1.5").unwrap() - 2e-3).abs() < 1e-15);
    assert!((evaluate("ln(exp(1.5))").unwrap() - 1.5).abs() < 1e-15);
    assert_eq!(Expression::number(-0.25).evaluate(&[]), Ok(-0.25));
}

#[test]
fn signs_powers_and_exponents_are_read_as_mathematicians_do() {
    for (text, value) in [
        ("-2^2", -4.0),
        ("1 - -2^2", 5.0),
        ("1 + -2^2", -3.0),
        ("(-2)^2", 4.0),
        ("2 * -3^2", -18.0),
        ("18 / -3^2", -2.0),
        ("2^-1", 0.5),
        ("max(-2^2, -5)", -4.0),
        ("1e-3", 1e-3),
        ("2.5E+3 * side", 80_000.0),
        ("1e40", 1e40),
        (".5 + 1.", 1.5),
        ("fan_in - 1e2", 0.0),
        ("2^3^2", 512.0),
        ("2^-2^2", 0.0625),
        ("(2^3)^2", 64.0),
        ("16 / 4 / 2 * 3", 6.0),
        ("5 − 2 - 1", 2.0),
        ("max(min(3, 7), sqrt(min(16, 81)))", 4.0),
    ] {
        assert!((evaluate(text).unwrap() - value).abs() <= 1e-12 * value.abs(), "{text}: {:?}", evaluate(text));
    }
    assert_eq!(evaluate("2^(3^2) - 2^3 * 2^2"), Ok(480.0));
    let named = Expression::parse("2 * a1e3").unwrap();
    assert_eq!(named.evaluate(&[("a1e3".into(), 7.0)]), Ok(14.0));
}

#[test]
fn constants_have_one_value_however_they_are_written() {
    for (names, value) in [
        (&["π", "pi", "PI"][..], std::f64::consts::PI),
        (&["τ", "tau", "TAU"], std::f64::consts::TAU),
        (&["e", "E"], std::f64::consts::E),
    ] {
        for name in names {
            assert_eq!(evaluate(name), Ok(value), "{name}");
            assert_eq!(evaluate(&format!("-2*{name}^2 + side/{name}")), Ok(-2.0 * value.powf(2.0) + 32.0 / value));
        }
    }
}

/// A name that begins as a constant or a function does is a name of its own.
#[test]
fn names_are_taken_whole() {
    for name in
        ["pix", "PIx", "pi2", "taus", "epochs", "e1", "E_2", "exponent", "sinus", "lnx", "max_width", "abs1", "_pi"]
    {
        let formula = Expression::parse(&format!("2 * {name} - {name}^2")).unwrap();
        assert_eq!(formula.names(), [name]);
        assert_eq!(formula.evaluate(&[(name.into(), 3.0)]), Ok(-3.0), "{name}");
    }
}

/// The page on specs lists every function and every constant of formulas, and none that does not exist.
#[test]
fn the_documentation_lists_functions_and_constants() {
    let page = include_str!("../../../../docs/specs.md");
    let (_, rest) = page.split_once("**Formulas**").unwrap();
    let paragraph = rest.split("\n\n").next().unwrap();
    let words = |text: &str| {
        let quoted = text.split('`').skip(1).step_by(2).flat_map(|quoted| quoted.split(|c: char| !c.is_alphanumeric()));
        quoted.filter(|word| word.starts_with(char::is_alphabetic)).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut listed = words(paragraph);
    let mut known: Vec<&str> = reserved_names().collect();
    listed.retain(|word| !["a", "b", "x", "y"].contains(&word.as_str()));
    listed.sort();
    listed.dedup();
    known.sort();
    assert_eq!(listed, known);
}

#[test]
fn names_are_the_free_variables_in_their_order() {
    let names = |text: &str| Expression::parse(text).unwrap().names().to_vec();
    assert_eq!(names("width * sqrt(depth) + width^a - 2 * PI"), ["width", "depth", "a"]);
    assert!(names("sqrt(4) * e").is_empty() && Expression::number(3.0).names().is_empty());
}

#[test]
fn fingerprints_see_the_text_alone() {
    assert_eq!(format!("{:?}", Expression::parse("sqrt(side) + 1").unwrap()), "Expression(\"sqrt(side) + 1\")");
}

#[test]
fn what_is_wrong_is_said() {
    assert!(evaluate("3 * width").unwrap_err().contains("`width`"));
    assert!(evaluate("3 * width").unwrap_err().contains("side, fan_in"));
    assert!(evaluate("3 * sdie").unwrap_err().contains("did you mean `side`?"));
    assert!(evaluate("1 / (side - 32)").unwrap_err().contains("inf"));
}

/// Each complaint names the place and what is allowed there.
#[test]
fn places_are_named() {
    let wide = "(".repeat(101) + "1" + &")".repeat(101);
    for (text, place, allowed) in [
        ("", "at its end", "a number, a variable"),
        ("2 +", "at its end", "a number, a variable"),
        ("3 * (side", "at character 5, (", "not closed"),
        ("3 * side)", "at character 9, )", "nothing opens"),
        ("π * 2 side", "at character 7, s", "one of + - * / ^ or the end"),
        ("(2 side)", "at character 4, s", "or a closing parenthesis"),
        ("2x", "at character 2, x", "one of + - * / ^"),
        ("side²", "at character 5, ²", "one of + - * / ^"),
        ("2**3", "at character 3, *", "a power is written with ^"),
        ("2 * * 3", "at character 5, *", "a number, a variable"),
        ("1.2.3", "at character 4, .", "one of + - * / ^"),
        (".", "at character 1, .", "a number, a variable"),
        ("1e999", "at character 1, 1", "larger than any double"),
        ("2 * sqr(4)", "at character 5, s", "did you mean `sqrt`?"),
        ("side(3)", "at character 1, s", "a product is written with *"),
        ("sqrt 4", "at character 1, s", "arguments in parentheses"),
        ("max(1)", "at character 4, (", "two formulas with a comma between them, not 1"),
        ("sqrt(1, 2)", "at character 5, (", "one formula, not 2"),
        ("sqrt()", "at character 6, )", "a number, a variable"),
        (&wide, "at character 101, (", "at most 100"),
    ] {
        let message = Expression::parse(text).unwrap_err();
        assert!(message.starts_with("must be an expression such as"), "{text}: {message}");
        assert!(message.contains(place) && message.contains(allowed), "{text}: {message}");
    }
    assert!(Expression::parse(&"1+".repeat(600)).unwrap_err().contains("at most 1000"));
    assert!(Expression::parse(&("-".repeat(100) + "1")).is_ok());
}

#[test]
fn sizes_are_whole_and_positive() {
    let size = |text: &str| Expression::parse(text).unwrap().size(&variables());
    assert_eq!(size("side / 4"), Ok(8));
    assert_eq!(size("1000^(1/3)"), Ok(10));
    for wrong in ["side / 5", "side - 32", "0 - side", "10^17"] {
        assert!(size(wrong).unwrap_err().contains("whole number"), "{wrong}");
    }
}

/// A formula as a tree, evaluated by plain Rust.
#[derive(Debug, Clone)]
enum Tree {
    Number(f64),
    Side,
    Negative(Box<Tree>),
    Root(Box<Tree>),
    Larger(Box<[Tree; 2]>),
    Operation(char, Box<[Tree; 2]>),
}

impl Tree {
    fn value(&self, side: f64) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Side => side,
            Self::Negative(a) => -a.value(side),
            Self::Root(a) => a.value(side).sqrt(),
            Self::Larger(pair) => pair[0].value(side).max(pair[1].value(side)),
            Self::Operation(operator, pair) => {
                let (a, b) = (pair[0].value(side), pair[1].value(side));
                match operator {
                    '+' => a + b,
                    '-' => a - b,
                    '*' => a * b,
                    '/' => a / b,
                    _ => a.powf(b),
                }
            }
        }
    }

    /// Binds how tightly: 1 for a sum, 2 a product, 3 a sign, 4 a power, 5 what needs no parentheses anywhere.
    fn level(&self) -> u8 {
        match self {
            Self::Operation('+' | '-', _) => 1,
            Self::Operation('*' | '/', _) => 2,
            Self::Negative(_) => 3,
            Self::Operation(..) => 4,
            _ => 5,
        }
    }

    /// The text with parentheses only where an operand binds less tightly than `least`.
    fn text(&self, least: u8, space: &str) -> String {
        let text = match self {
            Self::Number(value) => short(value),
            Self::Side => "side".into(),
            Self::Negative(a) => format!("-{space}{}", a.text(3, space)),
            Self::Root(a) => format!("sqrt{space}({})", a.text(1, space)),
            Self::Larger(pair) => format!("max({},{space}{})", pair[0].text(1, space), pair[1].text(1, space)),
            Self::Operation(operator, pair) => {
                let (left, right) = match self.level() {
                    1 => (1, 2),
                    2 => (2, 3),
                    _ => (5, 3),
                };
                format!("{}{space}{operator}{space}{}", pair[0].text(left, space), pair[1].text(right, space))
            }
        };
        if self.level() < least { format!("({text})") } else { text }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Side),
        (0.0..40.0).prop_map(Tree::Number),
        (0..9u8).prop_map(|n| Tree::Number(n.into())),
        (-9..9i32).prop_map(|power| Tree::Number(10f64.powi(power)))
    ];
    leaf.prop_recursive(5, 24, 2, |inner| {
        let pair = (inner.clone(), inner.clone()).prop_map(|(a, b)| Box::new([a, b]));
        prop_oneof![
            inner.clone().prop_map(|a| Tree::Negative(Box::new(a))),
            inner.prop_map(|a| Tree::Root(Box::new(a))),
            pair.clone().prop_map(Tree::Larger),
            (prop::sample::select(vec!['+', '-', '*', '/', '^']), pair)
                .prop_map(|(operator, pair)| Tree::Operation(operator, pair)),
        ]
    })
}

proptest! {
    /// A tree printed with the fewest parentheses is read as the same tree: its value has the same bits.
    #[test]
    fn what_is_printed_is_read_again(tree in trees(), side in -50.0..50.0, spaced in any::<bool>()) {
        let text = tree.text(1, if spaced { " " } else { "" });
        prop_assume!(text.len() <= 1000);
        let expected = tree.value(side);
        let value = Formula::parse(&text, &|_| None).unwrap().root.value(&[side]);
        prop_assert!(value.to_bits() == expected.to_bits() || value.is_nan() && expected.is_nan(), "{text}: {value} for {expected}");
    }
}
