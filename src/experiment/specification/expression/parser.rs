//! The grammar of formulas, read from left to right by one function a level.
//!
//! ```text
//! sum     = product {("+" | "-") product}
//! product = signed {("*" | "/") signed}
//! signed  = ("+" | "-") signed | power          −x^2 is −(x²)
//! power   = atom ["^" signed]                   a^b^c is a^(b^c), 2^-1 is a half
//! atom    = number | variable | constant | function "(" sum {"," sum} ")" | "(" sum ")"
//! ```
//! Sums and products group from the left, so that floating-point results are those of the formula as written.

use super::vocabulary::{Function, One, Two, constant, function, function_names};
use crate::nearest::unknown;

/// Longest formula that is read, in characters.
const LONGEST: usize = 1000;

/// Most levels of parentheses, signs and powers within each other, which bounds the parser's recursion.
const DEEPEST: usize = 100;

/// What is allowed where an operand must stand.
const OPERAND: &str = "a number, a variable, a function or a parenthesis must stand here";

/// Operators of a sum; the minus sign of mathematics is one too.
const SUM: [(char, Two); 3] = [('+', |a, b| a + b), ('-', |a, b| a - b), ('−', |a, b| a - b)];
/// Operators of a product.
const PRODUCT: [(char, Two); 2] = [('*', |a, b| a * b), ('/', |a, b| a / b)];
/// Powers.
const POWER: [(char, Two); 1] = [('^', f64::powf)];
/// Signs.
const SIGNS: [(char, One); 3] = [('+', |a| a), ('-', |a| -a), ('−', |a| -a)];

/// A formula that was read.
pub struct Formula {
    /// The operation that comes last.
    pub root: Node,
    /// Free variables, each once, as they appear.
    pub names: Vec<String>,
}

/// An operation or an operand.
pub enum Node {
    /// A number or a constant.
    Number(f64),
    /// A variable, by its place among the formula's names.
    Variable(usize),
    /// A sign, or a function of one number.
    One(One, Box<Node>),
    /// An operator, or a function of two numbers.
    Two(Two, Box<[Node; 2]>),
}

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// Names the place that cannot be read, and what is allowed there.
    pub fn parse(text: &str, names: &Names<'_>) -> Result<Self, String> {
        if text.chars().count() > LONGEST {
            return Err(format!("must be an expression of at most {LONGEST} characters"));
        }
        let mut parser = Parser { text, position: 0, depth: 0, names: Vec::new(), known: names };
        let root = parser.sum()?;
        match parser.peek() {
            None => Ok(Self { root, names: parser.names }),
            Some(')') => Err(parser.complain(parser.position, "this closes a parenthesis that nothing opens")),
            Some(_) => Err(parser.complain_of_operator("the end")),
        }
    }
}

/// Says how many bytes of a text, from its beginning, are a name that holds more than letters and digits, as `loss.l1` does.
pub type Names<'a> = dyn Fn(&str) -> Option<usize> + 'a;

/// What a variable stands for in a formula that is evaluated again and again.
#[derive(Clone, Copy)]
pub enum Operand {
    /// A number that does not change.
    Number(f64),
    /// The value at this place.
    Value(usize),
}

impl Node {
    /// The same with its variables replaced.
    pub fn bound(&self, operands: &[Operand]) -> Self {
        match self {
            Self::Number(value) => Self::Number(*value),
            Self::Variable(place) => match operands[*place] {
                Operand::Number(value) => Self::Number(value),
                Operand::Value(place) => Self::Variable(place),
            },
            Self::One(function, operand) => Self::One(*function, Box::new(operand.bound(operands))),
            Self::Two(function, both) => {
                Self::Two(*function, Box::new([both[0].bound(operands), both[1].bound(operands)]))
            }
        }
    }

    /// The value, given those of the formula's names.
    pub fn value(&self, variables: &[f64]) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Variable(place) => variables[*place],
            Self::One(function, operand) => function(operand.value(variables)),
            Self::Two(function, operands) => function(operands[0].value(variables), operands[1].value(variables)),
        }
    }
}

/// A formula that is being read.
struct Parser<'a> {
    text: &'a str,
    /// Bytes that were read.
    position: usize,
    /// Levels that are open.
    depth: usize,
    names: Vec<String>,
    /// Names beside words.
    known: &'a Names<'a>,
}

impl<'a> Parser<'a> {
    fn sum(&mut self) -> Result<Node, String> {
        self.chain(&SUM, Self::product)
    }

    fn product(&mut self) -> Result<Node, String> {
        self.chain(&PRODUCT, Self::signed)
    }

    /// Operands with operators of one level between them.
    fn chain(
        &mut self,
        operators: &[(char, Two)],
        operand: fn(&mut Self) -> Result<Node, String>,
    ) -> Result<Node, String> {
        let mut left = operand(self)?;
        while let Some(operation) = self.accept(operators) {
            left = Node::Two(operation, Box::new([left, operand(self)?]));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Node, String> {
        match self.accept(&SIGNS) {
            Some(sign) => Ok(Node::One(sign, Box::new(self.nested(Self::signed)?))),
            None => self.power(),
        }
    }

    fn power(&mut self) -> Result<Node, String> {
        let base = self.atom()?;
        match self.accept(&POWER) {
            Some(power) => Ok(Node::Two(power, Box::new([base, self.nested(Self::signed)?]))),
            None => Ok(base),
        }
    }

    fn atom(&mut self) -> Result<Node, String> {
        match self.peek() {
            Some(digit) if digit.is_ascii_digit() || digit == '.' => self.number(),
            Some(letter) if begins_name(letter) => self.name(),
            Some('(') => {
                let [inside] = self.arguments()?;
                Ok(inside)
            }
            Some('*') if self.text[..self.position].ends_with('*') => {
                Err(self.complain(self.position, "a power is written with ^"))
            }
            _ => Err(self.complain(self.position, OPERAND)),
        }
    }

    fn number(&mut self) -> Result<Node, String> {
        let start = self.position;
        let length = number_length(&self.text[start..]);
        self.position += length;
        match self.text[start..self.position].parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Node::Number(number)),
            Ok(_) => Err(self.complain(start, "this number is larger than any double")),
            Err(_) => Err(self.complain(start, OPERAND)),
        }
    }

    /// A function with its arguments, a constant, or a variable.
    fn name(&mut self) -> Result<Node, String> {
        let start = self.position;
        let rest = &self.text[start..];
        if let Some(length) = (self.known)(rest) {
            self.position += length;
            return Ok(self.variable(&rest[..length]));
        }
        let name = &rest[..rest.find(|c: char| !(begins_name(c) || c.is_ascii_digit())).unwrap_or(rest.len())];
        self.position += name.len();
        match (function(name), self.peek() == Some('(')) {
            (Some(Function::One(function)), true) => {
                let [argument] = self.arguments()?;
                Ok(Node::One(function, Box::new(argument)))
            }
            (Some(Function::Two(function)), true) => Ok(Node::Two(function, Box::new(self.arguments()?))),
            (Some(_), false) => {
                Err(self.complain(start, &format!("the function {name} needs its arguments in parentheses")))
            }
            (None, true) => {
                let functions: Vec<&str> = function_names().collect();
                let message =
                    format!("`{name}`: {}; a product is written with *", unknown("function", name, &functions));
                Err(self.complain(start, &message))
            }
            (None, false) => Ok(constant(name).map_or_else(|| self.variable(name), Node::Number)),
        }
    }

    fn variable(&mut self, name: &str) -> Node {
        let place = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        });
        Node::Variable(place)
    }

    /// Formulas in parentheses, with commas between them.
    fn arguments<const COUNT: usize>(&mut self) -> Result<[Node; COUNT], String> {
        let open = self.position;
        self.position += 1;
        let mut arguments = vec![self.nested(Self::sum)?];
        while self.peek() == Some(',') {
            self.position += 1;
            arguments.push(self.nested(Self::sum)?);
        }
        match self.peek() {
            Some(')') => self.position += 1,
            Some(_) => return Err(self.complain_of_operator("a closing parenthesis")),
            None => return Err(self.complain(open, "this parenthesis is not closed")),
        }
        let wrong = |arguments: Vec<Node>| {
            let numbers = if COUNT == 1 { "one formula" } else { "two formulas with a comma between them" };
            self.complain(open, &format!("these parentheses must hold {numbers}, not {}", arguments.len()))
        };
        arguments.try_into().map_err(wrong)
    }

    /// What lies one level deeper.
    fn nested(&mut self, read: fn(&mut Self) -> Result<Node, String>) -> Result<Node, String> {
        if self.depth == DEEPEST {
            let message = format!("at most {DEEPEST} parentheses, signs and powers may lie within each other");
            // What opened the level stands right before.
            let opener = self.text[..self.position].trim_end().char_indices().next_back();
            return Err(self.complain(opener.map_or(0, |(place, _)| place), &message));
        }
        self.depth += 1;
        let node = read(self);
        self.depth -= 1;
        node
    }

    /// The next character that is not a space; the position is then at it.
    fn peek(&mut self) -> Option<char> {
        let rest = self.text[self.position..].trim_start();
        self.position = self.text.len() - rest.len();
        rest.chars().next()
    }

    /// Steps over one of these operators, if it comes next.
    fn accept<T: Copy>(&mut self, operators: &[(char, T)]) -> Option<T> {
        let next = self.peek()?;
        let &(sign, operation) = operators.iter().find(|(sign, _)| *sign == next)?;
        self.position += sign.len_utf8();
        Some(operation)
    }

    /// The complaint about what stands where an operator or this must.
    fn complain_of_operator(&self, otherwise: &str) -> String {
        self.complain(self.position, &format!("one of + - * / ^ or {otherwise} must stand here"))
    }

    /// A complaint about a place of the formula.
    fn complain(&self, position: usize, message: &str) -> String {
        let place = match self.text[position..].chars().next() {
            Some(found) => format!("at character {}, {found}", self.text[..position].chars().count() + 1),
            None => "at its end".into(),
        };
        format!("must be an expression such as \"3 * side^2\"; {place}: {message}")
    }
}

/// Whether a name may begin with this character.
fn begins_name(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

/// Bytes of the number at the beginning of a text: digits, a point, and an exponent where one follows.
fn number_length(text: &str) -> usize {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(0);
    if text[length..].starts_with('.') {
        length += 1 + digits(length + 1);
    }
    let exponent = text[length..].strip_prefix(['e', 'E']).map(|rest| rest.strip_prefix(['+', '-']).unwrap_or(rest));
    if let Some(exponent) = exponent.filter(|exponent| exponent.starts_with(|c: char| c.is_ascii_digit())) {
        let from = text.len() - exponent.len();
        length = from + digits(from);
    }
    length
}
