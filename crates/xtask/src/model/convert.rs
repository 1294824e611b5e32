//! From the TensorFlow graph to ONNX: the network between the scaled picture and the raw outputs.
//!
//! Kept: the convolutions. Left out: scaling the picture before them, decoding boxes and choosing
//! among them after them, which `vong-detect` does in plain code. What TensorFlow computes after a
//! convolution with constants (normalisation, bias) is folded into its weights, and of the classes
//! only those of a road are computed; both leave the values as they were.
//! The reference boxes of the graph go along, so that whoever reads the file can tell that its own
//! are the same.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::onnx::Graph;
use super::tfjs::{Node, TfjsModel, Weights};

/// Where the picture comes in: scaled to -1..1, and named so by the TensorFlow graph.
const PICTURE: &str = "Preprocessor/sub";
const SIDE: usize = 300;
const ANCHORS: usize = 1917;
const ANCHOR_WEIGHTS: &str = "Postprocessor/ExpandDims";

/// Classes of the model, the background included.
const CLASSES: usize = 91;
/// person, bicycle, car, motorcycle, bus, truck: their COCO ids, in the order of the output.
const KEPT: [usize; 6] = [1, 2, 3, 4, 6, 8];

/// The bytes of an ONNX file: `image` (1, 3, 300, 300) to `boxes` (1, 1917, 4), `logits`
/// (1, 1917, 6) and the constant `anchors` (1, 1917, 4).
pub(super) fn convert(model: &TfjsModel) -> Result<Vec<u8>> {
    let mut conversion = Conversion::new(model);
    conversion.head("concat", "boxes", &[0, 1, 2, 3])?;
    conversion.head("concat_1", "logits", &KEPT)?;
    let anchors = model.weights.get(ANCHOR_WEIGHTS).context("the graph has no reference boxes")?;
    ensure!(anchors.shape == [1, ANCHORS, 4], "reference boxes of shape {:?}", anchors.shape);
    let mut graph = conversion.graph;
    let constant = graph.floats(&anchors.shape, &anchors.values);
    graph.node("Identity", &[&constant], "anchors", &[]);
    Ok(graph.model(
        ("image", &[1, 3, SIDE, SIDE]),
        &[
            ("boxes", &[1, ANCHORS, 4]),
            ("logits", &[1, ANCHORS, KEPT.len()]),
            ("anchors", &[1, ANCHORS, 4]),
        ],
    ))
}

/// A feature map that the ONNX graph computes: its name there, and rows = columns.
#[derive(Clone)]
struct Map {
    name: String,
    side: usize,
}

/// What follows a convolution: each channel times `scale` plus `offset`.
struct Affine {
    scale: Vec<f32>,
    offset: Vec<f32>,
}

struct Conversion<'a> {
    model: &'a TfjsModel,
    graph: Graph,
    zero: String,
    six: String,
    done: BTreeMap<String, Map>,
}

impl<'a> Conversion<'a> {
    fn new(model: &'a TfjsModel) -> Self {
        let mut graph = Graph::default();
        let (zero, six) = (graph.floats(&[], &[0.0]), graph.floats(&[], &[6.0]));
        let picture = Map { name: "image".to_owned(), side: SIDE };
        let done = BTreeMap::from([(PICTURE.to_owned(), picture)]);
        Self { model, graph, zero, six, done }
    }

    fn node(&self, name: &str) -> Result<&'a Node> {
        self.model.nodes.get(name).with_context(|| format!("the graph has no operation '{name}'"))
    }

    fn weights(&self, name: &str) -> Result<&'a Weights> {
        self.model.weights.get(name).with_context(|| format!("there are no weights '{name}'"))
    }

    /// One of the two outputs: what the six predictors say, one after the other.
    fn head(&mut self, concat: &str, output: &str, kept: &[usize]) -> Result<()> {
        let predictors = self.node(concat)?.inputs.get(..6).context("not six predictors")?;
        let mut parts = Vec::new();
        for predictor in predictors {
            let reshape = self.node(predictor)?;
            let source = reshape.inputs.first().context("a predictor without input")?;
            let classes = if output == "logits" { CLASSES } else { 4 };
            let map = self.convolution(source, Some((classes, kept)))?;
            let (moved, flat) = (format!("{}_nhwc", map.name), format!("{}_flat", map.name));
            self.graph.node("Transpose", &[&map.name], &moved, &[("perm", vec![0, 2, 3, 1])]);
            let shape = self.graph.integers(&[1, -1, kept.len() as i64]);
            self.graph.node("Reshape", &[&moved, &shape], &flat, &[]);
            parts.push(flat);
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.graph.node("Concat", &parts, output, &[("axis", vec![1])]);
        Ok(())
    }

    /// The feature map of an operation, computed once however many need it.
    fn map(&mut self, name: &str) -> Result<Map> {
        if let Some(map) = self.done.get(name) {
            return Ok(map.clone());
        }
        let node = self.node(name)?;
        let map = match (node.operation.as_str(), node.inputs.as_slice()) {
            ("Relu6", [input]) => {
                let input = self.map(input)?;
                let own = onnx_name(name);
                self.graph.node("Clip", &[&input.name, &self.zero, &self.six], &own, &[]);
                Map { name: own, side: input.side }
            }
            ("Add" | "AddN", [left, right]) if self.constant(node).is_none() => {
                let (left, right) = (self.map(left)?, self.map(right)?);
                ensure!(left.side == right.side, "'{name}' adds maps of different sizes");
                let own = onnx_name(name);
                self.graph.node("Add", &[&left.name, &right.name], &own, &[]);
                Map { name: own, side: left.side }
            }
            ("Add", _) if self.adds_to_sum(node)? => {
                let (input, term) = self.operands(name, node)?;
                let input = self.map(input)?;
                let term = self.graph.floats(&[1, term.values.len(), 1, 1], &term.values);
                let own = onnx_name(name);
                self.graph.node("Add", &[&input.name, &term], &own, &[]);
                Map { name: own, side: input.side }
            }
            _ => self.convolution(name, None)?,
        };
        self.done.insert(name.to_owned(), map.clone());
        Ok(map)
    }

    /// A convolution and what is computed from its output with constants alone, as one operation.
    ///
    /// `kept` is the size of the groups its channels come in, and which of each group are wanted.
    fn convolution(&mut self, name: &str, kept: Option<(usize, &[usize])>) -> Result<Map> {
        let mut after = Affine { scale: vec![1.0], offset: vec![0.0] };
        let (mut place, mut node) = (name, self.node(name)?);
        while !matches!(node.operation.as_str(), "Conv2D" | "DepthwiseConv2dNative") {
            self.fold(place, node, &mut after)?;
            place = match self.constant(node) {
                Some(_) => self.operands(place, node)?.0,
                None => node.inputs.first().with_context(|| format!("'{place}' has no input"))?,
            };
            node = self.node(place)?;
        }
        let [input, weights] = node.inputs.as_slice() else {
            bail!("the convolution '{place}' has not two inputs");
        };
        ensure!(node.text("padding").as_deref() == Some("SAME"), "'{place}' is not padded as SAME");
        let weights = self.weights(weights)?;
        let kernel = Kernel::new(weights, node.operation == "Conv2D")?;
        let channels: Vec<usize> = match kept {
            None => (0..kernel.outputs).collect(),
            Some((group, wanted)) => (0..kernel.outputs / group)
                .flat_map(|which| wanted.iter().map(move |own| which * group + own))
                .collect(),
        };
        let (values, bias) = kernel.folded(weights, &channels, &after)?;
        let input = self.map(input)?;
        let stride = node.stride()?;
        let side = input.side.div_ceil(stride);
        // As TensorFlow pads: what does not go in two halves goes to the end.
        let padding = ((side - 1) * stride + kernel.side).saturating_sub(input.side);
        let (begin, end) = ((padding / 2) as i64, padding.div_ceil(2) as i64);
        let shape = [channels.len(), kernel.inputs, kernel.side, kernel.side];
        let values = self.graph.floats(&shape, &values);
        let bias = self.graph.floats(&[channels.len()], &bias);
        let own = onnx_name(name);
        self.graph.node(
            "Conv",
            &[&input.name, &values, &bias],
            &own,
            &[
                ("kernel_shape", vec![kernel.side as i64; 2]),
                ("strides", vec![stride as i64; 2]),
                ("pads", vec![begin, begin, end, end]),
                ("group", vec![kernel.groups as i64]),
            ],
        );
        Ok(Map { name: own, side })
    }

    /// The constant that an operation of two inputs has as either of them.
    fn constant(&self, node: &'a Node) -> Option<&'a Weights> {
        self.operands("", node).ok().map(|(_, constant)| constant)
    }

    /// What is computed and what is constant of an operation on one of each.
    fn operands(&self, name: &str, node: &'a Node) -> Result<(&'a str, &'a Weights)> {
        let weights = &self.model.weights;
        match node.inputs.as_slice() {
            [left, right] => match (weights.get(left), weights.get(right)) {
                (None, Some(constant)) => Ok((left, constant)),
                (Some(constant), None) => Ok((right, constant)),
                _ => bail!("'{name}' is not on one constant"),
            },
            _ => bail!("'{name}' has not two inputs"),
        }
    }

    /// Whether a constant is added to the sum of two maps, where no convolution can take it in.
    fn adds_to_sum(&self, node: &'a Node) -> Result<bool> {
        let Ok((input, _)) = self.operands("", node) else { return Ok(false) };
        let before = self.node(input)?;
        Ok(before.operation == "AddN" && self.constant(before).is_none())
    }

    /// Puts one operation with constants before those already in `after`.
    fn fold(&self, name: &str, node: &'a Node, after: &mut Affine) -> Result<()> {
        match (node.operation.as_str(), node.inputs.as_slice(), self.constant(node)) {
            ("Mul", _, Some(factor)) => after.precede(&factor.values, &[0.0]),
            ("Add" | "AddN" | "BiasAdd", _, Some(term)) => after.precede(&[1.0], &term.values),
            ("FusedBatchNorm", [_, gamma, beta, mean, variance], _) => {
                let epsilon = node.number("epsilon").context("a normalisation without epsilon")?;
                let [gamma, beta] = [self.weights(gamma)?, self.weights(beta)?];
                let [mean, variance] = [self.weights(mean)?, self.weights(variance)?];
                let scale = gamma.values.iter().zip(&variance.values);
                let scale: Vec<f32> = scale.map(|(g, v)| g / (v + epsilon).sqrt()).collect();
                let offset = beta.values.iter().zip(&mean.values).zip(&scale);
                let offset: Vec<f32> = offset.map(|((b, m), s)| b - m * s).collect();
                after.precede(&scale, &offset)
            }
            (other, ..) => bail!("'{name}' is a {other}, which the conversion does not know"),
        }
    }
}

fn onnx_name(name: &str) -> String {
    name.replace('/', "_")
}

impl Affine {
    /// `scale · (factor · x + term) + offset`, as one scale and one offset.
    fn precede(&mut self, factor: &[f32], term: &[f32]) -> Result<()> {
        let lengths = [self.scale.len(), self.offset.len(), factor.len(), term.len()];
        let longest = lengths.into_iter().max().unwrap_or(1);
        ensure!(
            lengths.into_iter().all(|length| length == 1 || length == longest),
            "constants of different lengths follow one another: {lengths:?}"
        );
        let at = |values: &[f32], place: usize| {
            values.get(place).or_else(|| values.first()).copied().unwrap_or_default()
        };
        let (scale, offset) = (&self.scale, &self.offset);
        let offset = (0..longest)
            .map(|place| at(scale, place) * at(term, place) + at(offset, place))
            .collect();
        let scale = (0..longest).map(|place| at(scale, place) * at(factor, place)).collect();
        *self = Self { scale, offset };
        Ok(())
    }
}

/// Shape of a convolution's weights, which TensorFlow keeps as (rows, columns, in, out), and those
/// of a depthwise one as (rows, columns, channel, multiplier).
struct Kernel {
    side: usize,
    inputs: usize,
    outputs: usize,
    groups: usize,
}

impl Kernel {
    fn new(weights: &Weights, full: bool) -> Result<Self> {
        let &[rows, columns, inputs, outputs] = weights.shape.as_slice() else {
            bail!("weights of a convolution of shape {:?}", weights.shape);
        };
        ensure!(rows == columns, "a kernel of {rows} by {columns}");
        Ok(if full {
            Self { side: rows, inputs, outputs, groups: 1 }
        } else {
            Self { side: rows, inputs: 1, outputs: inputs * outputs, groups: inputs }
        })
    }

    /// Weights as ONNX wants them, (out, in, rows, columns), and the bias, of these channels.
    fn folded(
        &self,
        weights: &Weights,
        channels: &[usize],
        after: &Affine,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let at = |values: &[f32], channel: usize| {
            let found = if values.len() == 1 { values.first() } else { values.get(channel) };
            found.copied().with_context(|| format!("no constant for channel {channel}"))
        };
        let area = self.side * self.side;
        let mut values = Vec::with_capacity(channels.len() * self.inputs * area);
        let mut bias = Vec::with_capacity(channels.len());
        for &channel in channels {
            let scale = at(&after.scale, channel)?;
            for input in 0..self.inputs {
                for place in 0..area {
                    // Both layouts end with the output: that of a depthwise one is channel, multiplier.
                    let index = (place * self.inputs + input) * self.outputs + channel;
                    let value = weights.values.get(index).context("weights end early")?;
                    values.push(value * scale);
                }
            }
            bias.push(at(&after.offset, channel)?);
        }
        Ok((values, bias))
    }
}

#[cfg(test)]
mod tests;
