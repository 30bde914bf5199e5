//! Models of well-known shapes with made-up weights: what they compute means nothing, how much of what they compute is
//! that of the models they are named after. Written as PyTorch's exporter writes them.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "sizes are small, and made up here"
)]

use forebay::{
    contract::Dtype,
    graph::{
        Attr, GraphBuilder, Value,
        proto::{Kind, Model, Size},
    },
};

const OPSET: i64 = 17;

/// Numbers that look random and are the same each time (xorshift, Marsaglia 2003).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// From -1 to 1.
    pub(crate) fn number(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// A whole number from 0, below `most`.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        (f64::midpoint(self.number(), 1.0) * most as f64) as usize
    }
}

/// A graph that is being built, with weights at hand.
struct Net {
    graph: GraphBuilder,
    random: Random,
}

impl Net {
    fn new(name: &str) -> Self {
        let mut graph = GraphBuilder::new(OPSET);
        graph.begin_step(name);
        Self {
            graph,
            random: Random::new(7),
        }
    }

    /// Weights whose sums over `fan_in` of them neither vanish nor explode.
    fn weights(&mut self, dims: &[usize], fan_in: usize) -> String {
        let scale = (3.0 / fan_in as f64).sqrt();
        let count = dims.iter().product();
        let values: Vec<f64> = (0..count).map(|_| self.random.number() * scale).collect();
        self.graph.numbers(Dtype::F32, dims, &values)
    }

    /// Numbers around some middle.
    fn around(&mut self, middle: f64, count: usize) -> String {
        let values: Vec<f64> = (0..count)
            .map(|_| middle + self.random.number() * 0.1)
            .collect();
        self.graph.numbers(Dtype::F32, &[count], &values)
    }

    fn node(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.graph.node(operator, inputs, Vec::new())
    }

    fn number(&mut self, value: f64) -> String {
        self.graph.number(Dtype::F32, value)
    }

    fn gemm(&mut self, x: &str, inputs: usize, outputs: usize) -> String {
        let weights = self.weights(&[outputs, inputs], inputs);
        let bias = self.around(0.0, outputs);
        let transposed = vec![("transB", Attr::Int(1))];
        self.graph.node("Gemm", &[x, &weights, &bias], transposed)
    }

    /// A linear layer over the last of three dimensions.
    fn linear(&mut self, x: &str, inputs: usize, outputs: usize) -> String {
        let weights = self.weights(&[inputs, outputs], inputs);
        let bias = self.around(0.0, outputs);
        let product = self.node("MatMul", &[x, &weights]);
        self.node("Add", &[&bias, &product])
    }

    fn layer_norm(&mut self, x: &str, width: usize) -> String {
        let (scale, bias) = (self.around(1.0, width), self.around(0.0, width));
        let attributes = vec![("axis", Attr::Int(-1)), ("epsilon", Attr::Float(1e-12))];
        self.graph
            .node("LayerNormalization", &[x, &scale, &bias], attributes)
    }

    /// The exact one, by erf.
    fn gelu(&mut self, x: &str) -> String {
        let (root, one, half) = (
            self.number(std::f64::consts::SQRT_2),
            self.number(1.0),
            self.number(0.5),
        );
        let scaled = self.node("Div", &[x, &root]);
        let erf = self.node("Erf", &[&scaled]);
        let more = self.node("Add", &[&erf, &one]);
        let product = self.node("Mul", &[x, &more]);
        self.node("Mul", &[&product, &half])
    }

    /// A convolution without bias and a batch normalisation; `groups` is the number of channels for a depthwise one.
    fn conv(&mut self, x: &str, conv: Conv) -> String {
        let Conv {
            from,
            to,
            kernel,
            stride,
            groups,
        } = conv;
        let fan_in = from / groups * kernel * kernel;
        let weights = self.weights(&[to, from / groups, kernel, kernel], fan_in);
        let [kernel, stride, groups] = [kernel, stride, groups].map(signed);
        let attributes = vec![
            ("kernel_shape", Attr::Ints(vec![kernel; 2])),
            ("strides", Attr::Ints(vec![stride; 2])),
            ("pads", Attr::Ints(vec![kernel / 2; 4])),
            ("group", Attr::Int(groups)),
        ];
        let x = self.graph.node("Conv", &[x, &weights], attributes);
        let (scale, bias) = (self.around(1.0, to), self.around(0.0, to));
        let (mean, variance) = (self.around(0.0, to), self.around(1.0, to));
        self.node("BatchNormalization", &[&x, &scale, &bias, &mean, &variance])
    }

    /// The mean over both dimensions of the picture, and a linear layer.
    fn head(&mut self, x: &str, channels: usize, classes: usize) -> String {
        let mean = self.node("GlobalAveragePool", &[x]);
        let flat = self
            .graph
            .node("Flatten", &[&mean], vec![("axis", Attr::Int(1))]);
        self.gemm(&flat, channels, classes)
    }

    fn finish(self, output: &str, name: &str, shape: &[usize]) -> Model {
        let value = Value::new(name, Dtype::F32, shape.to_vec());
        self.graph.finish(&[(output.to_owned(), value)])
    }
}

#[derive(Clone, Copy)]
struct Conv {
    from: usize,
    to: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
}

impl Conv {
    fn new(from: usize, to: usize, kernel: usize, stride: usize) -> Self {
        Self {
            from,
            to,
            kernel,
            stride,
            groups: 1,
        }
    }

    fn depthwise(channels: usize, stride: usize) -> Self {
        Self {
            groups: channels,
            ..Self::new(channels, channels, 3, stride)
        }
    }
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).expect("a size that fits")
}

/// Linear layers of these widths with ReLU between them: `x` `[rows, first]` to `y` `[rows, last]`.
pub(crate) fn mlp(widths: &[usize]) -> Model {
    let mut net = Net::new("mlp");
    let mut x = net.graph.input("x", Dtype::F32, &widths[..1]).name;
    for (at, pair) in widths.windows(2).enumerate() {
        x = net.gemm(&x, pair[0], pair[1]);
        if at + 2 < widths.len() {
            x = net.node("Relu", &[&x]);
        }
    }
    net.finish("y", &x, &widths[widths.len() - 1..])
}

/// Sizes of an encoder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoder {
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    pub(crate) inner: usize,
    pub(crate) words: usize,
    pub(crate) tokens: usize,
}

/// The sizes of all-MiniLM-L6-v2.
pub(crate) const MINILM: Encoder = Encoder {
    layers: 6,
    hidden: 384,
    heads: 12,
    inner: 1536,
    words: 30522,
    tokens: 128,
};

/// BERT with mean pooling: `input_ids` and `attention_mask` `[rows, tokens]` (i64) to `embedding` `[rows, hidden]`.
pub(crate) fn encoder(of: Encoder) -> Model {
    encoder_of(of, false)
}

/// The same for rows of any number of tokens, up to that of the sizes.
pub(crate) fn encoder_of_any_length(of: Encoder) -> Model {
    let mut model = encoder_of(of, true);
    for input in &mut model.graph.as_mut().unwrap().input {
        let kind = input.r#type.as_mut().unwrap().value.as_mut();
        let Some(Kind::Tensor(tensor)) = kind else {
            panic!("an input that is no tensor")
        };
        tensor.shape.as_mut().unwrap().dim[1].value = Some(Size::Param("tokens".to_owned()));
    }
    model
}

fn encoder_of(of: Encoder, any_length: bool) -> Model {
    let mut net = Net::new("encoder");
    let ids = net.graph.input("input_ids", Dtype::I64, &[of.tokens]).name;
    let mask = (net.graph)
        .input("attention_mask", Dtype::I64, &[of.tokens])
        .name;
    let words = net.weights(&[of.words, of.hidden], 3);
    let mut places = net.weights(&[1, of.tokens, of.hidden], 3);
    if any_length {
        let shape = net.node("Shape", &[&ids]);
        let (zero, one) = (net.graph.ints(&[0]), net.graph.ints(&[1]));
        let length = net.node("Gather", &[&shape, &one]);
        places = net.node("Slice", &[&places, &zero, &length, &one]);
    }
    let words = net.node("Gather", &[&words, &ids]);
    let x = net.node("Add", &[&words, &places]);
    let mut x = net.layer_norm(&x, of.hidden);
    let to_float = || vec![("to", Attr::Int(1))];
    let axes = net.graph.ints(&[1, 2]);
    let mask_four = net.node("Unsqueeze", &[&mask, &axes]);
    let mask_four = net.graph.node("Cast", &[&mask_four], to_float());
    let (one, least) = (net.number(1.0), net.number(-10000.0));
    let masked = net.node("Sub", &[&one, &mask_four]);
    let masked = net.node("Mul", &[&masked, &least]);
    for _ in 0..of.layers {
        let attended = attention(&mut net, &x, &masked, of);
        let sum = net.node("Add", &[&attended, &x]);
        x = net.layer_norm(&sum, of.hidden);
        let inner = net.linear(&x, of.hidden, of.inner);
        let inner = net.gelu(&inner);
        let outer = net.linear(&inner, of.inner, of.hidden);
        let sum = net.node("Add", &[&outer, &x]);
        x = net.layer_norm(&sum, of.hidden);
    }
    let last = net.graph.ints(&[-1]);
    let mask = net.node("Unsqueeze", &[&mask, &last]);
    let mask = net.graph.node("Cast", &[&mask], to_float());
    let kept = net.node("Mul", &[&x, &mask]);
    let over = net.graph.ints(&[1]);
    let whole = || vec![("keepdims", Attr::Int(0))];
    let sum = net.graph.node("ReduceSum", &[&kept, &over], whole());
    let count = net.graph.node("ReduceSum", &[&mask, &over], whole());
    let mean = net.node("Div", &[&sum, &count]);
    net.finish("embedding", &mean, &[of.hidden])
}

fn attention(net: &mut Net, x: &str, masked: &str, of: Encoder) -> String {
    let width = of.hidden / of.heads;
    let mut parts = Vec::new();
    for order in [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]] {
        let part = net.linear(x, of.hidden, of.hidden);
        let shape = (net.graph).ints(&[0, 0, signed(of.heads), signed(width)]);
        let part = net.node("Reshape", &[&part, &shape]);
        let order = vec![("perm", Attr::Ints(order.to_vec()))];
        parts.push(net.graph.node("Transpose", &[&part], order));
    }
    let scores = net.node("MatMul", &[&parts[0], &parts[1]]);
    let root = net.number((width as f64).sqrt());
    let scores = net.node("Div", &[&scores, &root]);
    let scores = net.node("Add", &[&scores, masked]);
    let last = vec![("axis", Attr::Int(-1))];
    let shares = net.graph.node("Softmax", &[&scores], last);
    let mixed = net.node("MatMul", &[&shares, &parts[2]]);
    let order = vec![("perm", Attr::Ints(vec![0, 2, 1, 3]))];
    let mixed = net.graph.node("Transpose", &[&mixed], order);
    let shape = net.graph.ints(&[0, 0, signed(of.hidden)]);
    let mixed = net.node("Reshape", &[&mixed, &shape]);
    net.linear(&mixed, of.hidden, of.hidden)
}

/// `ResNet-18` (He et al. 2015) with so many channels in its first stage (64 there): `image` `[rows, 3, size, size]` to
/// `y` `[rows, classes]`.
pub(crate) fn resnet18(size: usize, width: usize, classes: usize) -> Model {
    let mut net = Net::new("resnet");
    let x = net.graph.input("image", Dtype::F32, &[3, size, size]).name;
    let x = net.conv(&x, Conv::new(3, width, 7, 2));
    let x = net.node("Relu", &[&x]);
    let pool = vec![
        ("kernel_shape", Attr::Ints(vec![3, 3])),
        ("strides", Attr::Ints(vec![2, 2])),
        ("pads", Attr::Ints(vec![1; 4])),
    ];
    let mut x = net.graph.node("MaxPool", &[&x], pool);
    let mut channels = width;
    for stage in 0..4 {
        for block in 0..2 {
            let (to, stride) = match (stage, block) {
                (0, _) | (_, 1) => (channels, 1),
                _ => (channels * 2, 2),
            };
            let inner = net.conv(&x, Conv::new(channels, to, 3, stride));
            let inner = net.node("Relu", &[&inner]);
            let inner = net.conv(&inner, Conv::new(to, to, 3, 1));
            if stride == 2 {
                x = net.conv(&x, Conv::new(channels, to, 1, 2));
            }
            let sum = net.node("Add", &[&inner, &x]);
            x = net.node("Relu", &[&sum]);
            channels = to;
        }
    }
    let y = net.head(&x, channels, classes);
    net.finish("y", &y, &[classes])
}

/// Inverted bottlenecks as `MobileNetV2` has them (Sandler et al. 2018), with so many channels in the first (16 there):
/// `image` `[rows, 3, size, size]` to `y` `[rows, classes]`.
pub(crate) fn mobilenet(size: usize, width: usize, classes: usize) -> Model {
    let mut net = Net::new("mobilenet");
    let x = net.graph.input("image", Dtype::F32, &[3, size, size]).name;
    let (none, six) = (net.number(0.0), net.number(6.0));
    let relu6 = |net: &mut Net, x: String| net.node("Clip", &[&x, &none, &six]);
    let x = net.conv(&x, Conv::new(3, width * 2, 3, 2));
    let x = relu6(&mut net, x);
    let x = net.conv(&x, Conv::depthwise(width * 2, 1));
    let x = relu6(&mut net, x);
    let mut x = net.conv(&x, Conv::new(width * 2, width, 1, 1));
    let mut channels = width;
    // Channels in halves of the first block's, blocks, and the stride of the first of them.
    for (to, blocks, stride) in [(3, 2, 2), (4, 3, 2), (8, 4, 2), (12, 3, 1), (20, 3, 2)] {
        for block in 0..blocks {
            let (to, stride) = (to * width / 2, if block == 0 { stride } else { 1 });
            let inner = net.conv(&x, Conv::new(channels, channels * 6, 1, 1));
            let inner = relu6(&mut net, inner);
            let inner = net.conv(&inner, Conv::depthwise(channels * 6, stride));
            let inner = relu6(&mut net, inner);
            let inner = net.conv(&inner, Conv::new(channels * 6, to, 1, 1));
            x = if channels == to && stride == 1 {
                net.node("Add", &[&x, &inner])
            } else {
                inner
            };
            channels = to;
        }
    }
    let y = net.head(&x, channels, classes);
    net.finish("y", &y, &[classes])
}

/// Two LSTM layers over `x` `[rows, steps, features]`, and a linear layer behind the last step: `y` `[rows, classes]`.
pub(crate) fn lstm(steps: usize, features: usize, hidden: usize, classes: usize) -> Model {
    let mut net = Net::new("lstm");
    let x = net.graph.input("x", Dtype::F32, &[steps, features]).name;
    let order = vec![("perm", Attr::Ints(vec![1, 0, 2]))];
    let mut x = net.graph.node("Transpose", &[&x], order);
    let mut inputs = features;
    let mut last = String::new();
    let one = net.graph.ints(&[1]);
    for _ in 0..2 {
        let w = net.weights(&[1, 4 * hidden, inputs], inputs);
        let r = net.weights(&[1, 4 * hidden, hidden], hidden);
        let b = net.weights(&[1, 8 * hidden], hidden);
        let size = vec![("hidden_size", Attr::Int(signed(hidden)))];
        let given = net.graph.nodes("", "LSTM", &[&x, &w, &r, &b], size, 3);
        x = net.node("Squeeze", &[&given[0], &one]);
        last.clone_from(&given[1]);
        inputs = hidden;
    }
    let zero = net.graph.ints(&[0]);
    let last = net.node("Squeeze", &[&last, &zero]);
    let y = net.gemm(&last, hidden, classes);
    net.finish("y", &y, &[classes])
}

/// Full binary trees of this depth, their leaves summed: `x` `[rows, features]` to `y` `[rows, 1]`.
pub(crate) fn trees(count: usize, depth: usize, features: usize) -> Model {
    let mut net = Net::new("trees");
    let x = net.graph.input("x", Dtype::F32, &[features]).name;
    let (inner, all) = ((1 << depth) - 1, (1 << (depth + 1)) - 1);
    let nodes = || (0..count).flat_map(|tree| (0..all).map(move |node| (tree, node)));
    let ints = |of: &dyn Fn(usize, usize) -> usize| {
        Attr::Ints(nodes().map(|(tree, node)| signed(of(tree, node))).collect())
    };
    let leaves = || (0..count).flat_map(|tree| (inner..all).map(move |node| (tree, node)));
    let weight = |random: &mut Random| (random.number() / count as f64) as f32;
    let mut random = Random::new(11);
    let attributes = vec![
        ("n_targets", Attr::Int(1)),
        ("aggregate_function", Attr::Text("SUM".to_owned())),
        ("nodes_treeids", ints(&|tree, _| tree)),
        ("nodes_nodeids", ints(&|_, node| node)),
        (
            "nodes_featureids",
            Attr::Ints(nodes().map(|_| signed(random.below(features))).collect()),
        ),
        (
            "nodes_values",
            Attr::Floats(nodes().map(|_| random.number() as f32).collect()),
        ),
        (
            "nodes_modes",
            Attr::Texts(
                nodes()
                    .map(|(_, node)| if node < inner { "BRANCH_LT" } else { "LEAF" }.to_owned())
                    .collect(),
            ),
        ),
        (
            "nodes_truenodeids",
            ints(&|_, node| if node < inner { 2 * node + 1 } else { 0 }),
        ),
        (
            "nodes_falsenodeids",
            ints(&|_, node| if node < inner { 2 * node + 2 } else { 0 }),
        ),
        (
            "target_treeids",
            Attr::Ints(leaves().map(|(tree, _)| signed(tree)).collect()),
        ),
        (
            "target_nodeids",
            Attr::Ints(leaves().map(|(_, node)| signed(node)).collect()),
        ),
        ("target_ids", Attr::Ints(leaves().map(|_| 0).collect())),
        (
            "target_weights",
            Attr::Floats(leaves().map(|_| weight(&mut random)).collect()),
        ),
    ];
    let y = net
        .graph
        .ml_node("TreeEnsembleRegressor", &[&x], attributes);
    net.finish("y", &y, &[1])
}
