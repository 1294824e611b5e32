//! A TensorFlow.js graph model: `model.json` and the weights in its shards.
//!
//! The shards are one run of bytes; the manifest names the constants in it in order, each with its
//! type and shape. Strings of attributes are lists of character codes, 64-bit numbers are strings.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A constant of 32-bit floats, row-major.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// One operation of the graph.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) operation: String,
    /// Names of operations or of weights, without the port and without what only orders.
    pub(super) inputs: Vec<String>,
    attributes: Value,
}

impl Node {
    /// Step of a convolution; that of rows and of columns is the same in this network.
    pub(super) fn stride(&self) -> Result<usize> {
        let strides = self.attributes.pointer("/strides/list/i").and_then(Value::as_array);
        let stride = strides.and_then(|list| list.get(1)).context("a convolution has no stride")?;
        match stride {
            Value::String(text) => text.parse().context("a stride is no number"),
            other => Ok(other.as_u64().context("a stride is no number")? as usize),
        }
    }

    /// The text of an attribute such as `padding`.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let codes = self.attributes.get(name)?.get("s")?.as_array()?;
        codes.iter().map(|code| Some(char::from(u8::try_from(code.as_u64()?).ok()?))).collect()
    }

    /// The number of an attribute such as `epsilon`.
    pub(super) fn number(&self, name: &str) -> Option<f32> {
        Some(self.attributes.get(name)?.get("f")?.as_f64()? as f32)
    }
}

/// Operations and weights by name.
#[derive(Debug)]
pub(super) struct TfjsModel {
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) weights: BTreeMap<String, Weights>,
}

impl TfjsModel {
    /// Reads `model.json` and its shards in `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(dir.join("model.json"))
            .with_context(|| format!("could not read model.json in {}", dir.display()))?;
        let model: Value = serde_json::from_str(&text).context("model.json is no JSON")?;
        let mut weights = BTreeMap::new();
        for group in array(&model, "/weightsManifest")? {
            let mut bytes = Vec::new();
            for path in array(group, "/paths")? {
                let shard = path.as_str().context("the name of a shard is no text")?;
                let path = dir.join(shard);
                bytes.extend(std::fs::read(path).with_context(|| format!("no shard '{shard}'"))?);
            }
            read_weights(array(group, "/weights")?, &bytes, &mut weights)?;
        }
        let nodes = array(&model, "/modelTopology/node")?
            .iter()
            .map(|node| Ok((text_of(node, "name")?, read_node(node)?)))
            .collect::<Result<_>>()?;
        Ok(Self { nodes, weights })
    }
}

fn array<'a>(value: &'a Value, pointer: &str) -> Result<&'a Vec<Value>> {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.with_context(|| format!("model.json has no list '{pointer}'"))
}

fn text_of(value: &Value, key: &str) -> Result<String> {
    let text = value.get(key).and_then(Value::as_str);
    Ok(text.with_context(|| format!("something in model.json has no '{key}'"))?.to_owned())
}

fn read_node(node: &Value) -> Result<Node> {
    let inputs = node.get("input").and_then(Value::as_array);
    let inputs = inputs.into_iter().flatten().filter_map(Value::as_str);
    Ok(Node {
        operation: text_of(node, "op")?,
        inputs: inputs
            .filter(|name| !name.starts_with('^'))
            .map(|name| name.split(':').next().unwrap_or(name).to_owned())
            .collect(),
        attributes: node.get("attr").cloned().unwrap_or_default(),
    })
}

/// Every type here takes four bytes; integers are shapes, which the conversion knows by itself.
fn read_weights(
    manifest: &[Value],
    bytes: &[u8],
    found: &mut BTreeMap<String, Weights>,
) -> Result<()> {
    let mut rest = bytes;
    for entry in manifest {
        let name = text_of(entry, "name")?;
        let shape: Vec<usize> = array(entry, "/shape")?
            .iter()
            .map(|side| Ok(side.as_u64().context("a side of a shape is no number")? as usize))
            .collect::<Result<_>>()?;
        let length = 4 * shape.iter().product::<usize>();
        let (own, after) = rest
            .split_at_checked(length)
            .with_context(|| format!("the shards end within the weights '{name}'"))?;
        rest = after;
        match text_of(entry, "dtype")?.as_str() {
            "float32" => {
                let values = own.as_chunks::<4>().0.iter().map(|raw| f32::from_le_bytes(*raw));
                found.insert(name, Weights { shape, values: values.collect() });
            }
            "int32" => {}
            other => anyhow::bail!("the weights '{name}' are of type {other}, not float32"),
        }
    }
    ensure!(rest.is_empty(), "the shards hold {} bytes more than the manifest says", rest.len());
    Ok(())
}
