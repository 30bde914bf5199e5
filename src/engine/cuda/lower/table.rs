//! Every operator that can be lowered.

use super::{
    Lowered, Missing,
    call::Call,
    emit::Emitter,
    ops::{
        attention, bits, boxes, classifiers, conv, elementwise as each, features, gather, gemm,
        joins, labels, matmul, norm, pool, reduce, resize, rnn, shape, softmax, tree_tables, trees,
        views,
    },
};
use crate::engine::cuda::launch::{pointwise::Op, reduce::Kind};

/// How an operator becomes steps.
pub(super) type Lower = fn(&mut Emitter, &Call<'_>) -> Lowered;

/// An operator that can be lowered.
#[derive(Debug, Clone, Copy)]
pub struct Covered {
    /// Empty for the standard domain.
    pub domain: &'static str,
    /// The operator's name.
    pub name: &'static str,
    /// The first version of the domain's operators whose meaning is known.
    pub since: i64,
    /// The types of elements, in words.
    pub types: &'static str,
    /// What is left out, in words; empty where nothing is.
    pub limits: &'static str,
    pub(super) lower: Lower,
}

/// The way to lower an operator of this version.
pub(super) fn find(domain: &str, name: &str, opset: i64) -> Result<&'static Covered, Missing> {
    let covered = (COVERED.iter())
        .find(|covered| covered.domain == domain && covered.name == name)
        .ok_or_else(|| Missing::new("such operator"))?;
    if opset < covered.since {
        return Err(Missing::new(format!(
            "such operator in operator set {opset}; it has those from {} on",
            covered.since
        )));
    }
    Ok(covered)
}

const ML: &str = "ai.onnx.ml";
const MS: &str = "com.microsoft";
/// Types, in the words of the reference.
const FLOAT: &str = "float, float16, bfloat16, double";
const NUMBER: &str = "all but uint64, strings and complex numbers";
const ANY: &str = "all but strings and complex numbers";
const MOVED: &str = "all but complex numbers";
const CHOSEN: &str = "all but uint64 and complex numbers";
const SINGLE: &str = "float";
const TRUTH: &str = "bool";
const INTEGER: &str = "integers but uint64";

macro_rules! table {
    ($($domain:expr, $name:literal, $since:literal, $types:expr, $limits:literal, $lower:expr;)+) => {
        /// Every operator that can be lowered, by domain and family.
        pub const COVERED: &[Covered] = &[$(Covered {
            domain: $domain,
            name: $name,
            since: $since,
            types: $types,
            limits: $limits,
            lower: $lower,
        },)+];
    };
}

table! {
    "", "Add", 7, NUMBER, "", |e, c| each::binary(e, c, Op::Add);
    "", "Sub", 7, NUMBER, "", |e, c| each::binary(e, c, Op::Sub);
    "", "Mul", 7, NUMBER, "", |e, c| each::binary(e, c, Op::Mul);
    "", "Div", 7, NUMBER, "", |e, c| each::binary(e, c, Op::Div);
    "", "Pow", 7, NUMBER, "", each::pow;
    "", "Mod", 10, NUMBER, "", each::modulo;
    "", "Min", 8, NUMBER, "", |e, c| each::variadic(e, c, Op::Min, false);
    "", "Max", 8, NUMBER, "", |e, c| each::variadic(e, c, Op::Max, false);
    "", "Sum", 8, NUMBER, "", |e, c| each::variadic(e, c, Op::Add, false);
    "", "Mean", 8, FLOAT, "", |e, c| each::variadic(e, c, Op::Add, true);
    "", "Equal", 7, CHOSEN, "", |e, c| each::compare(e, c, Op::Eq);
    "", "Less", 7, NUMBER, "", |e, c| each::compare(e, c, Op::Lt);
    "", "LessOrEqual", 12, NUMBER, "", |e, c| each::compare(e, c, Op::Le);
    "", "Greater", 7, NUMBER, "", |e, c| each::compare(e, c, Op::Gt);
    "", "GreaterOrEqual", 12, NUMBER, "", |e, c| each::compare(e, c, Op::Ge);
    "", "And", 7, TRUTH, "", |e, c| each::logic(e, c, Op::And);
    "", "Or", 7, TRUTH, "", |e, c| each::logic(e, c, Op::Or);
    "", "Xor", 7, TRUTH, "", |e, c| each::logic(e, c, Op::Xor);
    "", "Not", 1, TRUTH, "", |e, c| each::logic(e, c, Op::Not);
    "", "Where", 9, CHOSEN, "", each::choose;
    "", "Cast", 6, NUMBER, "no strings, nor types of fewer than 8 bits", each::cast;
    "", "IsNaN", 9, FLOAT, "", each::is_nan;
    "", "IsInf", 10, FLOAT, "", each::is_inf;
    "", "Neg", 6, NUMBER, "", |e, c| each::unary(e, c, Op::Neg, [0.0; 2]);
    "", "Abs", 6, NUMBER, "", |e, c| each::unary(e, c, Op::Abs, [0.0; 2]);
    "", "Sign", 9, NUMBER, "", |e, c| each::unary(e, c, Op::Sign, [0.0; 2]);
    "", "Ceil", 6, FLOAT, "", |e, c| each::unary(e, c, Op::Ceil, [0.0; 2]);
    "", "Floor", 6, FLOAT, "", |e, c| each::unary(e, c, Op::Floor, [0.0; 2]);
    "", "Round", 11, FLOAT, "", |e, c| each::unary(e, c, Op::Round, [0.0; 2]);
    "", "Sqrt", 6, FLOAT, "", |e, c| each::unary(e, c, Op::Sqrt, [0.0; 2]);
    "", "Reciprocal", 6, FLOAT, "", |e, c| each::unary(e, c, Op::Reciprocal, [0.0; 2]);
    "", "Exp", 6, FLOAT, "", |e, c| each::unary(e, c, Op::Exp, [0.0; 2]);
    "", "Log", 6, FLOAT, "", |e, c| each::unary(e, c, Op::Log, [0.0; 2]);
    "", "Sin", 7, FLOAT, "", |e, c| each::unary(e, c, Op::Sin, [0.0; 2]);
    "", "Cos", 7, FLOAT, "", |e, c| each::unary(e, c, Op::Cos, [0.0; 2]);
    "", "Tan", 7, FLOAT, "", |e, c| each::unary(e, c, Op::Tan, [0.0; 2]);
    "", "Asin", 7, FLOAT, "", |e, c| each::unary(e, c, Op::Asin, [0.0; 2]);
    "", "Acos", 7, FLOAT, "", |e, c| each::unary(e, c, Op::Acos, [0.0; 2]);
    "", "Atan", 7, FLOAT, "", |e, c| each::unary(e, c, Op::Atan, [0.0; 2]);
    "", "Sinh", 9, FLOAT, "", |e, c| each::unary(e, c, Op::Sinh, [0.0; 2]);
    "", "Cosh", 9, FLOAT, "", |e, c| each::unary(e, c, Op::Cosh, [0.0; 2]);
    "", "Tanh", 6, FLOAT, "", |e, c| each::unary(e, c, Op::Tanh, [0.0; 2]);
    "", "Asinh", 9, FLOAT, "", |e, c| each::unary(e, c, Op::Asinh, [0.0; 2]);
    "", "Acosh", 9, FLOAT, "", |e, c| each::unary(e, c, Op::Acosh, [0.0; 2]);
    "", "Atanh", 9, FLOAT, "", |e, c| each::unary(e, c, Op::Atanh, [0.0; 2]);
    "", "Erf", 9, FLOAT, "", |e, c| each::unary(e, c, Op::Erf, [0.0; 2]);
    "", "Relu", 6, NUMBER, "", |e, c| each::unary(e, c, Op::Relu, [0.0; 2]);
    "", "LeakyRelu", 6, FLOAT, "", |e, c| each::unary(e, c, Op::LeakyRelu, [c.float("alpha", 0.01), 0.0]);
    "", "Elu", 6, FLOAT, "", |e, c| each::unary(e, c, Op::Elu, [c.float("alpha", 1.0), 0.0]);
    "", "Selu", 6, FLOAT, "", |e, c| each::unary(e, c, Op::Selu, [c.float("alpha", 1.673_263_2), c.float("gamma", 1.050_701)]);
    "", "Celu", 12, FLOAT, "", |e, c| each::unary(e, c, Op::Celu, [c.float("alpha", 1.0), 0.0]);
    "", "Sigmoid", 6, FLOAT, "", |e, c| each::unary(e, c, Op::Sigmoid, [0.0; 2]);
    "", "HardSigmoid", 6, FLOAT, "", |e, c| each::unary(e, c, Op::HardSigmoid, [c.float("alpha", 0.2), c.float("beta", 0.5)]);
    "", "HardSwish", 14, FLOAT, "", |e, c| each::unary(e, c, Op::HardSwish, [0.0; 2]);
    "", "Softplus", 1, FLOAT, "", |e, c| each::unary(e, c, Op::Softplus, [0.0; 2]);
    "", "Softsign", 1, FLOAT, "", |e, c| each::unary(e, c, Op::Softsign, [0.0; 2]);
    "", "ThresholdedRelu", 10, FLOAT, "", |e, c| each::unary(e, c, Op::ThresholdedRelu, [c.float("alpha", 1.0), 0.0]);
    "", "Mish", 18, FLOAT, "", |e, c| each::unary(e, c, Op::Mish, [0.0; 2]);
    "", "Swish", 24, FLOAT, "", |e, c| each::unary(e, c, Op::Swish, [c.float("alpha", 1.0), 0.0]);
    "", "Clip", 6, NUMBER, "", each::clip;
    "", "PRelu", 7, FLOAT, "", each::prelu;
    "", "Shrink", 9, FLOAT, "", each::shrink;
    "", "Gelu", 20, FLOAT, "", each::gelu;
    MS, "Gelu", 1, FLOAT, "", each::gelu;
    MS, "BiasGelu", 1, FLOAT, "", |e, c| each::biased(e, c, Op::Gelu);
    MS, "FastGelu", 1, FLOAT, "", |e, c| each::biased(e, c, Op::GeluTanh);
    MS, "QuickGelu", 1, FLOAT, "", |e, c| each::unary(e, c, Op::Swish, [c.float("alpha", 1.702), 0.0]);
    "", "BitwiseAnd", 18, INTEGER, "", |e, c| bits::bitwise(e, c, Op::BitAnd);
    "", "BitwiseOr", 18, INTEGER, "", |e, c| bits::bitwise(e, c, Op::BitOr);
    "", "BitwiseXor", 18, INTEGER, "", |e, c| bits::bitwise(e, c, Op::BitXor);
    "", "BitwiseNot", 18, INTEGER, "", |e, c| bits::bitwise(e, c, Op::BitNot);
    "", "BitShift", 11, INTEGER, "", bits::shift;

    "", "MatMul", 1, FLOAT, "", matmul::matmul;
    "", "Gemm", 7, FLOAT, "", gemm::gemm;
    MS, "FusedGemm", 1, FLOAT, "", gemm::gemm;
    MS, "FusedMatMul", 1, FLOAT, "", matmul::fused;
    MS, "TransposeMatMul", 1, FLOAT, "", matmul::fused;

    "", "Attention", 23, FLOAT, "no past, cap, causal or boolean mask, or further outputs; as many heads for keys as for queries", attention::standard;
    MS, "Attention", 1, FLOAT, "no past; masks of ones and zeros", attention::packed;
    MS, "MultiHeadAttention", 1, FLOAT, "no past or packed inputs; masks of ones and zeros", attention::multi_head;
    "", "Softmax", 1, FLOAT, "", |e, c| softmax::softmax(e, c, false);
    "", "LogSoftmax", 1, FLOAT, "", |e, c| softmax::softmax(e, c, true);
    "", "Hardmax", 13, SINGLE, "", features::hardmax;
    "", "LayerNormalization", 1, FLOAT, "no mean or deviation as outputs", |e, c| norm::layer(e, c, false);
    "", "SimplifiedLayerNormalization", 1, FLOAT, "no deviation as output", |e, c| norm::layer(e, c, true);
    "", "RMSNormalization", 23, FLOAT, "", |e, c| norm::layer(e, c, true);
    MS, "SkipLayerNormalization", 1, FLOAT, "no mean or deviation as outputs", |e, c| norm::skip_layer(e, c, false);
    MS, "SkipSimplifiedLayerNormalization", 1, FLOAT, "no deviation as output", |e, c| norm::skip_layer(e, c, true);
    MS, "EmbedLayerNormalization", 1, FLOAT, "no mask, no position_ids", norm::embed;
    "", "BatchNormalization", 9, FLOAT, "inference only", norm::batch;
    "", "InstanceNormalization", 6, "float, double", "", |e, c| norm::groups(e, c, true);
    "", "GroupNormalization", 21, "float, double", "", |e, c| norm::groups(e, c, false);
    "", "LpNormalization", 1, "float, double, float16", "", norm::lp;

    "", "Identity", 1, MOVED, "", views::identity;
    "", "Dropout", 7, MOVED, "inference only; no mask as output", views::dropout;
    "", "Reshape", 1, MOVED, "a known shape", views::reshape;
    "", "Flatten", 1, MOVED, "", views::flatten;
    "", "Squeeze", 1, MOVED, "", views::squeeze;
    "", "Unsqueeze", 1, MOVED, "", views::unsqueeze;
    "", "Transpose", 1, MOVED, "", views::transpose;
    "", "Expand", 8, MOVED, "a known shape", views::expand;
    "", "Slice", 1, MOVED, "known bounds", views::slice;
    "", "Split", 2, MOVED, "known sizes", views::split;
    "", "Concat", 4, MOVED, "", joins::concat;
    "", "Tile", 6, MOVED, "known repeats", joins::tile;
    "", "Pad", 2, ANY, "known pads and a known value", joins::pad;
    "", "DepthToSpace", 1, MOVED, "", |e, c| joins::depth(e, c, true);
    "", "SpaceToDepth", 1, MOVED, "", |e, c| joins::depth(e, c, false);
    "", "Constant", 1, ANY, "", shape::constant;
    "", "ConstantOfShape", 9, ANY, "a known shape", shape::constant_of_shape;
    "", "Shape", 1, ANY, "", shape::shape;
    "", "Size", 1, ANY, "", shape::count;

    "", "Gather", 1, MOVED, "", gather::gather;
    "", "GatherElements", 11, MOVED, "", gather::elements;
    "", "GatherND", 11, MOVED, "", boxes::gather_nd;
    "", "ScatterND", 11, SINGLE, "only the scores that `NonMaxSuppression` selected, among -inf", boxes::scatter_nd;
    "", "NonMaxSuppression", 10, SINGLE, "known thresholds; only to put the scores of its list back among -inf", boxes::nms;
    "", "OneHot", 9, ANY, "a known depth; indices of float, int32, int64", gather::one_hot;

    "", "ReduceSum", 1, NUMBER, "known axes", |e, c| reduce::reduce(e, c, Kind::Sum);
    "", "ReduceMean", 1, NUMBER, "known axes", |e, c| reduce::reduce(e, c, Kind::Mean);
    "", "ReduceMax", 1, NUMBER, "known axes", |e, c| reduce::reduce(e, c, Kind::Max);
    "", "ReduceMin", 1, NUMBER, "known axes", |e, c| reduce::reduce(e, c, Kind::Min);
    "", "ReduceProd", 1, NUMBER, "known axes", |e, c| reduce::reduce(e, c, Kind::Prod);
    "", "ReduceSumSquare", 1, NUMBER, "known axes", |e, c| reduce::reduce(e, c, Kind::SumSquare);
    "", "ReduceL1", 1, NUMBER, "known axes", |e, c| reduce::reduce(e, c, Kind::L1);
    "", "ReduceL2", 1, NUMBER, "known axes", |e, c| reduce::reduce(e, c, Kind::L2);
    "", "ReduceLogSum", 1, FLOAT, "known axes", |e, c| reduce::reduce(e, c, Kind::LogSum);
    "", "ReduceLogSumExp", 1, FLOAT, "known axes", |e, c| reduce::reduce(e, c, Kind::LogSumExp);
    "", "ArgMax", 1, ANY, "", |e, c| reduce::arg(e, c, false);
    "", "ArgMin", 1, ANY, "", |e, c| reduce::arg(e, c, true);
    "", "TopK", 1, ANY, "a known k; at most 4096 to choose from", reduce::top_k;
    "", "CumSum", 11, "float, double, float16, int32, int64", "a known axis", reduce::cum_sum;

    "", "Conv", 1, SINGLE, "one or two spatial dimensions", conv::conv;
    MS, "FusedConv", 1, SINGLE, "one or two spatial dimensions", conv::conv;
    "", "ConvTranspose", 1, SINGLE, "one or two spatial dimensions", conv::transposed;
    "", "MaxPool", 1, SINGLE, "one or two spatial dimensions", |e, c| pool::pool(e, c, false);
    "", "AveragePool", 7, SINGLE, "one or two spatial dimensions", |e, c| pool::pool(e, c, true);
    "", "GlobalAveragePool", 1, FLOAT, "", |e, c| pool::global(e, c, Kind::Mean);
    "", "GlobalMaxPool", 1, FLOAT, "", |e, c| pool::global(e, c, Kind::Max);
    "", "Resize", 10, SINGLE, "no antialias, no tf_crop_and_resize, stretch only", resize::resize;
    "", "Upsample", 9, SINGLE, "", resize::resize;

    "", "LSTM", 7, SINGLE, "usual activations; no clip, input_forget or layout", |e, c| rnn::network(e, c, rnn::Kind::Lstm);
    "", "GRU", 7, SINGLE, "usual activations; no clip or layout", |e, c| rnn::network(e, c, rnn::Kind::Gru);
    "", "RNN", 7, SINGLE, "Tanh or Relu; no clip, layout or lengths", |e, c| rnn::network(e, c, rnn::Kind::Rnn);

    ML, "TreeEnsembleRegressor", 1, "float, double", "", trees::regressor;
    ML, "TreeEnsembleClassifier", 1, "float, double, int32, int64", "at least two classes, each of which every row has a weight for or none", classifiers::trees;
    ML, "TreeEnsemble", 5, "float, double", "no membership in sets; no tree that is a single leaf", tree_tables::ensemble;
    ML, "LinearRegressor", 1, NUMBER, "", classifiers::regressor;
    ML, "LinearClassifier", 1, NUMBER, "intercepts for each class", classifiers::linear;
    ML, "Scaler", 1, NUMBER, "", features::scaler;
    ML, "Imputer", 1, "float, int64", "", features::imputer;
    ML, "Normalizer", 1, NUMBER, "", features::normalizer;
    ML, "Binarizer", 1, NUMBER, "", features::binarizer;
    ML, "FeatureVectorizer", 1, NUMBER, "", features::vectorizer;
    ML, "OneHotEncoder", 1, CHOSEN, "no failing where there is no such category", features::one_hot_encoder;
    ML, "LabelEncoder", 2, "float, int64, string", "no floats to strings", labels::label_encoder;
    ML, "ArrayFeatureExtractor", 1, MOVED, "", features::extractor;
}
