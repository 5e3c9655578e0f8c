//! Options by name.

use gatewright::resource::status::GatewayStatusAddress;
use gatewright::{Extension, Feature, MissingServices, ObjectRef, Options};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

/// Reads the options of a call.
///
/// # Errors
///
/// `TypeError` for a name that no option has or a value of another type, `ValueError` for a value that it does not take.
pub(crate) fn read(given: &Bound<'_, PyDict>) -> PyResult<Options> {
    let mut options = Options::default();
    options.missing_services = MissingServices::Infer;
    for (name, value) in given {
        let name = name.cast::<PyString>()?.to_str()?.to_owned();
        if value.is_none() {
            continue;
        }
        set(&mut options, &name, &value).map_err(|error| named(value.py(), &name, error))?;
    }
    Ok(options)
}

/// An error of a value, with the name of its option.
fn named(py: Python<'_>, name: &str, error: PyErr) -> PyErr {
    let message = error.value(py).str().map(|text| text.to_string()).unwrap_or_default();
    if error.is_instance_of::<PyTypeError>(py) {
        return PyTypeError::new_err(format!("option {name}: {message}"));
    }
    if error.is_instance_of::<PyValueError>(py) {
        return PyValueError::new_err(format!("option {name}: {message}"));
    }
    error
}

fn set(options: &mut Options, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    match name {
        "controller" => options.controller = Some(value.extract::<String>()?.into()),
        "without_features" => {
            for name in value.extract::<Vec<String>>()? {
                let feature =
                    Feature::from_name(&name).ok_or_else(|| PyValueError::new_err(format!("`{}` is no feature", name.escape_debug())))?;
                options.features = options.features.without(feature);
            }
        }
        "addresses" => {
            let all = value.extract::<Vec<String>>()?;
            options.addresses = Some(all.iter().map(|text| address(text)).collect());
        }
        "unavailable_ports" => options.unavailable_ports = value.extract::<Vec<u16>>()?.into_iter().collect(),
        "extensions" => {
            for text in value.extract::<Vec<String>>()? {
                options.extensions.insert(extension(&text)?, Extension::default());
            }
        }
        _ => {
            let text = match value.cast::<PyBool>() {
                Ok(yes) => yes.is_true().to_string(),
                Err(_) => value.extract::<String>()?,
            };
            options.set(name, &text).map_err(|message| match message.starts_with("option `") {
                true => PyTypeError::new_err(message),
                false => PyValueError::new_err(message),
            })?;
        }
    }
    Ok(())
}

/// `Type value`, or an IP address.
fn address(text: &str) -> GatewayStatusAddress {
    let (type_, value) = text.split_once(' ').unwrap_or(("IPAddress", text));
    GatewayStatusAddress { type_: Some(type_.to_owned()), value: value.to_owned() }
}

/// `group/Kind namespace/name`
fn extension(text: &str) -> PyResult<ObjectRef> {
    let parts = text.split_once(' ').and_then(|(kind, name)| Some((kind.rsplit_once('/')?, name.split_once('/')?)));
    let ((group, kind), (namespace, name)) =
        parts.ok_or_else(|| PyValueError::new_err(format!("`{}` is not `group/Kind namespace/name`", text.escape_debug())))?;
    Ok(ObjectRef::new(group, kind, namespace, name))
}
