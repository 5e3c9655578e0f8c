//! What compile finds: diagnostics for people, conditions for controllers.

use crate::diagnostic::{Code, Diagnostic, ObjectRef, Severity};
use crate::resource::status::{Condition, ConditionStatus};

/// Reason and message of a condition that is not as it should be.
pub(crate) type Problem = (&'static str, String);

/// The findings about one object.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) object: ObjectRef,
    pub(crate) list: Vec<Diagnostic>,
}

impl Findings {
    pub(crate) fn new(object: ObjectRef) -> Self {
        Self { object, list: Vec::new() }
    }

    pub(crate) fn push(&mut self, severity: Severity, code: Code, path: impl Into<String>, message: impl Into<String>) {
        self.list.push(Diagnostic::new(severity, code, Some(self.object.clone()), path, message));
    }

    pub(crate) fn error(&mut self, code: Code, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Error, code, path, message);
    }

    /// An error, and what follows from it.
    pub(crate) fn error_with(&mut self, code: Code, path: impl Into<String>, message: impl Into<String>, outcome: &str) {
        self.list.push(Diagnostic::new(Severity::Error, code, Some(self.object.clone()), path, message).outcome(outcome));
    }

    pub(crate) fn warning(&mut self, code: Code, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Warning, code, path, message);
    }

    pub(crate) fn info(&mut self, code: Code, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Info, code, path, message);
    }
}

/// A condition that speaks of `generation`.
pub(crate) fn condition(type_: &str, holds: bool, reason: &str, message: impl Into<String>, generation: Option<i64>) -> Condition {
    Condition {
        type_: type_.into(),
        status: if holds { ConditionStatus::True } else { ConditionStatus::False },
        reason: reason.into(),
        message: message.into(),
        observed_generation: generation,
        last_transition_time: String::new(),
    }
}

/// Why a rule cannot be used ([S-21]).
#[derive(Clone, Debug)]
pub(crate) struct Invalid {
    /// `UnsupportedValue` or `IncompatibleFilters`.
    pub(crate) reason: &'static str,
    pub(crate) code: Code,
    pub(crate) path: String,
    pub(crate) message: String,
}

impl Invalid {
    /// A value that breaks its format or that this version does not know.
    pub(crate) fn value(code: Code, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: "UnsupportedValue", code, path: path.into(), message: message.into() }
    }

    /// Filters or fields that must not stand together.
    pub(crate) fn combination(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: "IncompatibleFilters", code: Code::InvalidCombination, path: path.into(), message: message.into() }
    }
}

/// Why a reference does not resolve, in the order in which it is reported ([U-20]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RefProblem {
    RefNotPermitted,
    InvalidKind,
    BackendNotFound,
    UnsupportedProtocol,
}

impl RefProblem {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::RefNotPermitted => "RefNotPermitted",
            Self::InvalidKind => "InvalidKind",
            Self::BackendNotFound => "BackendNotFound",
            Self::UnsupportedProtocol => "UnsupportedProtocol",
        }
    }

    pub(crate) fn code(self) -> Code {
        match self {
            Self::RefNotPermitted => Code::RefNotPermitted,
            Self::InvalidKind => Code::RefKind,
            Self::BackendNotFound => Code::RefNotFound,
            Self::UnsupportedProtocol => Code::BackendProtocol,
        }
    }
}

/// A reference that does not resolve ([B-6]).
#[derive(Clone, Debug)]
pub(crate) struct BadRef {
    pub(crate) problem: RefProblem,
    pub(crate) path: String,
    pub(crate) message: String,
}

impl BadRef {
    /// Reports the reference, with what its requests get.
    pub(crate) fn report(&self, findings: &mut Findings, consequence: &str) {
        findings.error_with(self.problem.code(), self.path.clone(), self.message.clone(), consequence);
    }
}
