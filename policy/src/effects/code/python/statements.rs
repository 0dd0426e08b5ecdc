// SPDX-License-Identifier: Apache-2.0
//! Statements of Python.

use std::rc::Rc;

use tree_sitter::Node;

use super::super::syntax::{Expr, Function};
use super::{Reader, combine};

impl Reader<'_> {
    pub(super) fn statement(&mut self, node: Node) -> Option<Expr> {
        Some(match node.kind() {
            "import_from_statement" => self.import_from(node),
            "aliased_import" => Expr::Assign(
                vec![Expr::Name(self.named(node, "alias"))],
                Box::new(Expr::Name(self.named(node, "name"))),
            ),
            "assignment" => self.assign(node, "left", "right"),
            "augmented_assignment" => self.augmented(node),
            "as_pattern" => {
                let alias = self.field(node, "alias");
                let value = node.named_child(0).map(|value| self.expr(value));
                Expr::Assign(vec![alias], Box::new(value.unwrap_or_else(Expr::nothing)))
            }
            "module" | "block" | "finally_clause" | "class_definition" | "with_clause"
            | "with_item" => Expr::Block(self.children(node)),
            "decorated_definition" => self.decorated(node),
            "if_statement" | "elif_clause" | "case_clause" => {
                self.branch(node, "consequence", false)
            }
            "else_clause" | "except_clause" => Expr::Maybe {
                body: self.children(node),
                loops: false,
            },
            "while_statement" => self.branch(node, "body", true),
            "for_statement" => self.each(node),
            "function_definition" => {
                let params = self.parameters(node);
                let body = self.body(node, "body");
                Expr::Assign(
                    vec![Expr::Name(self.named(node, "name"))],
                    Box::new(Expr::Function(Rc::new(Function { params, body }))),
                )
            }
            "return_statement" | "yield" => Expr::Return(Box::new(
                self.children(node).pop().unwrap_or_else(Expr::nothing),
            )),
            "exec_statement" => Expr::call(Expr::Name("exec".to_owned()), self.children(node)),
            "print_statement" => Expr::call(Expr::Name("print".to_owned()), self.children(node)),
            "import_statement" | "future_import_statement" => Expr::Block(self.aliases(node)),
            _ => return None,
        })
    }

    /// What decorates a function is called with it.
    fn decorated(&mut self, node: Node) -> Expr {
        let mut cursor = node.walk();
        let parts: Vec<Node> = node.named_children(&mut cursor).collect();
        let mut value = self.field(node, "definition");
        let decorators = parts
            .into_iter()
            .rev()
            .filter(|part| part.kind() == "decorator");
        for decorator in decorators {
            let callee = self.children(decorator).pop().unwrap_or_else(Expr::nothing);
            value = Expr::call(callee, vec![value]);
        }
        value
    }

    /// Only the imports that give another name: a name nobody gave is the library's own.
    pub(super) fn aliases(&mut self, node: Node) -> Vec<Expr> {
        let parts = self.children(node);
        let named = parts.into_iter();
        named
            .filter(|part| matches!(part, Expr::Assign(..)))
            .collect()
    }

    pub(super) fn import_from(&mut self, node: Node) -> Expr {
        let module = self.named(node, "module_name");
        let mut cursor = node.walk();
        let imported: Vec<Node> = node.named_children(&mut cursor).skip(1).collect();
        let mut body = Vec::new();
        for item in imported {
            let (alias, name) = match item.kind() {
                "aliased_import" => (self.named(item, "alias"), self.named(item, "name")),
                "wildcard_import" => {
                    let text = Expr::Text(module.clone());
                    body.push(Expr::call(Expr::Name("import*".to_owned()), vec![text]));
                    continue;
                }
                _ => (self.source(item).to_owned(), self.source(item).to_owned()),
            };
            let whole = Expr::Name(format!("{module}.{name}"));
            body.push(Expr::Assign(vec![Expr::Name(alias)], Box::new(whole)));
        }
        Expr::Block(body)
    }

    pub(super) fn assign(&mut self, node: Node, left: &str, right: &str) -> Expr {
        let Some(value) = node.child_by_field_name(right) else {
            return Expr::nothing();
        };
        let value = self.expr(value);
        let target = match self.field(node, left) {
            Expr::List(names) => names,
            name => vec![name],
        };
        Expr::Assign(target, Box::new(value))
    }

    pub(super) fn augmented(&mut self, node: Node) -> Expr {
        let left = self.field(node, "left");
        let right = self.field(node, "right");
        let operator = self.named(node, "operator");
        let sum = match operator.as_str() {
            "+=" => Expr::Add(vec![left.clone(), right]),
            other => combine(other.trim_end_matches('='), left.clone(), right),
        };
        Expr::Assign(vec![left], Box::new(sum))
    }

    pub(super) fn branch(&mut self, node: Node, body: &str, loops: bool) -> Expr {
        let block = node.child_by_field_name(body);
        let mut cursor = node.walk();
        let others: Vec<Node> = node.named_children(&mut cursor).collect();
        let mut parts = Vec::new();
        for other in others {
            if Some(other) == block {
                let body = self.children(other);
                parts.push(Expr::Maybe { body, loops });
            } else {
                parts.push(self.expr(other));
            }
        }
        Expr::Block(parts)
    }

    pub(super) fn each(&mut self, node: Node) -> Expr {
        let names = match self.field(node, "left") {
            Expr::List(names) => names,
            name => vec![name],
        };
        let over = Box::new(self.field(node, "right"));
        let body = self.body(node, "body");
        let each = Expr::Each {
            names,
            over,
            body,
            collects: false,
        };
        Expr::Block(vec![each, self.field(node, "alternative")])
    }

    pub(super) fn parameters(&mut self, node: Node) -> Vec<(String, Option<Expr>)> {
        let Some(list) = node.child_by_field_name("parameters") else {
            return Vec::new();
        };
        let mut cursor = list.walk();
        let nodes: Vec<Node> = list.named_children(&mut cursor).collect();
        let mut found = Vec::new();
        for node in nodes {
            let (name, value) = match node.kind() {
                "identifier" => (self.source(node).to_owned(), None),
                "default_parameter" | "typed_default_parameter" => {
                    (self.named(node, "name"), Some(self.field(node, "value")))
                }
                "typed_parameter" => {
                    let name = node.named_child(0);
                    (name.map_or("", |name| self.source(name)).to_owned(), None)
                }
                // Spelt as it is written, so that it gets all the rest.
                "list_splat_pattern" => (self.source(node).to_owned(), None),
                _ => continue,
            };
            if name != "self" && name != "cls" {
                found.push((name, value));
            }
        }
        found
    }
}
