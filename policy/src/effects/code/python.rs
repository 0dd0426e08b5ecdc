// SPDX-License-Identifier: Apache-2.0
//! Python's syntax, by tree-sitter-python.

mod statements;

use std::ops::ControlFlow;
use std::rc::Rc;

use tree_sitter::{Node, ParseOptions, ParseState, Parser};

use super::super::word::UNKNOWN;
use super::decode;
use super::syntax::{Expr, Function, Invocation, Program};

/// Stands for [`UNKNOWN`] while the text is parsed: no letter of Python's names is private. A
/// program that uses the name itself reads as unknown there, which only tightens.
const HOLE: &str = "__unknown__";

/// How deep syntax is followed.
const DEPTH: u32 = 48;

/// How often the parser may ask whether to go on, which it does every hundred steps: five times
/// what 64 KiB took that were made to be hard.
const PATIENCE: u32 = 10_000;

/// Reads a program.
pub(super) fn parse(text: &str) -> Program {
    let text = text.replace(UNKNOWN, HOLE);
    let mut parser = Parser::new();
    if parser
        .set_language(&tree_sitter_python::LANGUAGE.into())
        .is_err()
    {
        return unreadable();
    }
    let mut asked = 0;
    let mut patience = |_: &ParseState| {
        asked += 1;
        if asked > PATIENCE {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let options = ParseOptions::new().progress_callback(&mut patience);
    let mut bytes = |at: usize, _| text.as_bytes().get(at..).unwrap_or_default();
    let Some(tree) = parser.parse_with_options(&mut bytes, None, Some(options)) else {
        return unreadable();
    };
    let root = tree.root_node();
    let mut reader = Reader {
        text: &text,
        depth: 0,
        cut: false,
    };
    Program {
        body: reader.children(root),
        broken: root.has_error() && !text.contains(HOLE),
        cut: reader.cut,
    }
}

fn unreadable() -> Program {
    Program {
        cut: true,
        ..Program::default()
    }
}

struct Reader<'a> {
    text: &'a str,
    depth: u32,
    cut: bool,
}

impl Reader<'_> {
    fn children(&mut self, node: Node) -> Vec<Expr> {
        let mut cursor = node.walk();
        let nodes: Vec<Node> = node.named_children(&mut cursor).collect();
        let nodes = nodes.into_iter().filter(|node| node.kind() != "comment");
        nodes.map(|node| self.expr(node)).collect()
    }

    fn field(&mut self, node: Node, name: &str) -> Expr {
        match node.child_by_field_name(name) {
            Some(child) => self.expr(child),
            None => Expr::nothing(),
        }
    }

    fn body(&mut self, node: Node, name: &str) -> Vec<Expr> {
        match node.child_by_field_name(name) {
            Some(child) => self.children(child),
            None => Vec::new(),
        }
    }

    fn source(&self, node: Node) -> &str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn named(&self, node: Node, field: &str) -> String {
        let child = node.child_by_field_name(field);
        child.map_or_else(String::new, |child| self.source(child).to_owned())
    }

    fn expr(&mut self, node: Node) -> Expr {
        if self.depth >= DEPTH {
            self.cut = true;
            return Expr::nothing();
        }
        self.depth += 1;
        let expr = self
            .value(node)
            .or_else(|| self.operation(node))
            .or_else(|| self.statement(node))
            .unwrap_or_else(|| Expr::Other(self.children(node)));
        self.depth -= 1;
        expr
    }

    /// What stands for itself.
    fn value(&mut self, node: Node) -> Option<Expr> {
        Some(match node.kind() {
            "identifier" | "dotted_name" => match self.source(node) {
                name if name.contains(HOLE) => Expr::nothing(),
                name => Expr::Name(name.replace(' ', "")),
            },
            "integer" => number(self.source(node)),
            "true" => Expr::Truth(true),
            "false" => Expr::Truth(false),
            "string" => self.string(node),
            "concatenated_string" => Expr::Add(self.children(node)),
            "list" | "tuple" | "set" | "expression_list" | "pattern_list" | "tuple_pattern"
            | "list_pattern" => Expr::List(self.children(node)),
            "dictionary" => Expr::Map(self.pairs(node)),
            "parenthesized_expression"
            | "await"
            | "expression_statement"
            | "as_pattern_target"
            | "interpolation" => {
                let mut parts = self.children(node);
                if parts.len() == 1 {
                    parts.pop()?
                } else {
                    Expr::List(parts)
                }
            }
            "lambda" => {
                let params = self.parameters(node);
                let body = vec![Expr::Return(Box::new(self.field(node, "body")))];
                Expr::Function(Rc::new(Function { params, body }))
            }
            _ => return None,
        })
    }

    /// What is computed from parts.
    fn operation(&mut self, node: Node) -> Option<Expr> {
        Some(match node.kind() {
            "attribute" => Expr::Attribute(
                Box::new(self.field(node, "object")),
                self.named(node, "attribute"),
            ),
            "subscript" => self.subscript(node),
            "call" => self.call(node),
            "binary_operator" => self.binary(node),
            "unary_operator" => match (
                self.source(node).chars().next(),
                self.field(node, "argument"),
            ) {
                (Some('-'), Expr::Number(number)) => Expr::Number(number.wrapping_neg()),
                (_, part) => Expr::Other(vec![part]),
            },
            "boolean_operator" => {
                Expr::Either(vec![self.field(node, "left"), self.field(node, "right")])
            }
            "conditional_expression" => {
                let mut parts = self.children(node);
                if parts.len() == 3 {
                    let condition = parts.remove(1);
                    Expr::Block(vec![condition, Expr::Either(parts)])
                } else {
                    Expr::Other(parts)
                }
            }
            "named_expression" => self.assign(node, "name", "value"),
            "list_splat" | "dictionary_splat" | "parenthesized_list_splat" => Expr::Spread(
                Box::new(self.children(node).pop().unwrap_or_else(Expr::nothing)),
            ),
            "list_comprehension"
            | "generator_expression"
            | "set_comprehension"
            | "dictionary_comprehension" => self.comprehension(node),
            _ => return None,
        })
    }

    fn comprehension(&mut self, node: Node) -> Expr {
        let mut cursor = node.walk();
        let clauses: Vec<Node> = node.named_children(&mut cursor).collect();
        let mut body = vec![self.field(node, "body")];
        // The first clause is the outermost.
        for clause in clauses.into_iter().rev() {
            match clause.kind() {
                "for_in_clause" => {
                    let names = match self.field(clause, "left") {
                        Expr::List(names) => names,
                        name => vec![name],
                    };
                    let over = Box::new(self.field(clause, "right"));
                    body = vec![Expr::Each {
                        names,
                        over,
                        body,
                        collects: true,
                    }];
                }
                "if_clause" => body.splice(0..0, self.children(clause)).for_each(drop),
                _ => {}
            }
        }
        Expr::Block(body)
    }

    fn pairs(&mut self, node: Node) -> Vec<(Expr, Expr)> {
        let mut cursor = node.walk();
        let pairs: Vec<Node> = node.named_children(&mut cursor).collect();
        let mut found = Vec::new();
        for pair in pairs {
            if pair.kind() == "pair" {
                found.push((self.field(pair, "key"), self.field(pair, "value")));
            } else {
                found.push((Expr::nothing(), self.expr(pair)));
            }
        }
        found
    }

    fn call(&mut self, node: Node) -> Expr {
        let callee = self.field(node, "function");
        let mut call = Invocation {
            callee,
            args: Vec::new(),
            named: Vec::new(),
        };
        let arguments = node.child_by_field_name("arguments");
        match arguments {
            Some(list) if list.kind() == "argument_list" => {
                let mut cursor = list.walk();
                let nodes: Vec<Node> = list.named_children(&mut cursor).collect();
                for node in nodes {
                    match node.kind() {
                        "comment" => {}
                        "keyword_argument" => {
                            let value = self.field(node, "value");
                            call.named.push((self.named(node, "name"), value));
                        }
                        _ => call.args.push(self.expr(node)),
                    }
                }
            }
            Some(generator) => call.args.push(self.expr(generator)),
            None => {}
        }
        Expr::Call(Box::new(call))
    }

    fn subscript(&mut self, node: Node) -> Expr {
        let object = Box::new(self.field(node, "value"));
        let Some(index) = node.child_by_field_name("subscript") else {
            return Expr::Other(vec![*object]);
        };
        if index.kind() != "slice" {
            return Expr::Index(object, Box::new(self.expr(index)));
        }
        let mut bounds = [None, None, None];
        let mut at = 0;
        let mut cursor = index.walk();
        let children: Vec<Node> = index.children(&mut cursor).collect();
        for child in children {
            if child.kind() == ":" {
                at += 1;
            } else if let Some(bound) = bounds.get_mut(at) {
                *bound = Some(Box::new(self.expr(child)));
            }
        }
        Expr::Slice(object, bounds)
    }

    /// `a + b + c` is as deep as it is long, so the left side is followed in a loop.
    fn binary(&mut self, node: Node) -> Expr {
        let mut node = node;
        let mut rest = Vec::new();
        while node.kind() == "binary_operator" && self.named(node, "operator") == "+" {
            rest.push(self.field(node, "right"));
            match node.child_by_field_name("left") {
                Some(left) => node = left,
                None => break,
            }
        }
        if rest.is_empty() {
            let left = self.field(node, "left");
            let right = self.field(node, "right");
            return combine(&self.named(node, "operator"), left, right);
        }
        rest.push(self.expr(node));
        rest.reverse();
        Expr::Add(rest)
    }

    fn string(&mut self, node: Node) -> Expr {
        let mut cursor = node.walk();
        let parts: Vec<Node> = node.named_children(&mut cursor).collect();
        let mut raw = false;
        let mut format = false;
        let mut found = Vec::new();
        for part in parts {
            match part.kind() {
                "string_start" => {
                    raw = self.source(part).contains(['r', 'R']);
                    format = self.source(part).contains(['f', 'F']);
                }
                "string_content" => {
                    let text = self.source(part).replace(HOLE, &UNKNOWN.to_string());
                    let text = if raw {
                        text
                    } else {
                        decode::unescape(&text, false)
                    };
                    found.push(Expr::Text(if format {
                        text.replace("{{", "{").replace("}}", "}")
                    } else {
                        text
                    }));
                }
                "interpolation" => found.push(self.field(part, "expression")),
                _ => {}
            }
        }
        match (found.len(), found.pop()) {
            (_, None) => Expr::Text(String::new()),
            (1, Some(Expr::Text(text))) => Expr::Text(text),
            (_, Some(last)) => {
                // Beginning with text, the sum is text whatever the first part is.
                found.insert(0, Expr::Text(String::new()));
                found.push(last);
                Expr::Add(found)
            }
        }
    }
}

/// Two operands and what is between them.
pub(super) fn combine(operator: &str, left: Expr, right: Expr) -> Expr {
    let known = ["*", "/", "%", "-", "^", "&", "|", "<<", ">>", "//"];
    match known.into_iter().find(|known| *known == operator) {
        Some(operator) => Expr::Binary(operator, Box::new(left), Box::new(right)),
        None => Expr::Other(vec![left, right]),
    }
}

fn number(text: &str) -> Expr {
    let text = text.replace('_', "").to_lowercase();
    let prefixes = [("0x", 16), ("0o", 8), ("0b", 2)];
    let based = prefixes
        .iter()
        .find_map(|(prefix, radix)| i64::from_str_radix(text.strip_prefix(prefix)?, *radix).ok());
    match based.or_else(|| text.parse().ok()) {
        Some(number) => Expr::Number(number),
        None => Expr::nothing(),
    }
}
