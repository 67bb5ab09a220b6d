"""The classes and functions of Keras that a model file may use, because they only compute.

A name on no list is rejected, so that additions to Keras must be reviewed before a file may use them.
"""

from __future__ import annotations


def names(*lists: str) -> frozenset[str]:
    """Return the set of words in texts."""
    return frozenset(" ".join(lists).split())


MODELS = names("Functional Model Sequential")
CONVOLUTIONS = """
    Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose Convolution1D Convolution1DTranspose
    Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose DepthwiseConv1D DepthwiseConv2D
    LocallyConnected1D LocallyConnected2D SeparableConv1D SeparableConv2D SeparableConvolution1D
    SeparableConvolution2D
"""
POOLING = """
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D
    AdaptiveMaxPooling2D AdaptiveMaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D
    AvgPool3D GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D
    GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D
    GlobalMaxPooling3D MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D
"""
SHAPES = """
    Cropping1D Cropping2D Cropping3D Flatten Permute RepeatVector Reshape UpSampling1D UpSampling2D UpSampling3D
    ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
CORE = """
    Activation ActivityRegularization Add AlphaDropout Average BatchNormalization Concatenate Dense Dot Dropout ELU
    EinsumDense Embedding GaussianDropout GaussianNoise GroupNormalization Identity InputLayer LayerNormalization
    LeakyReLU Masking Maximum Minimum Multiply PReLU RMSNormalization ReLU ReversibleEmbedding Softmax SpatialDropout1D
    SpatialDropout2D SpatialDropout3D SpectralNormalization Subtract SyncBatchNormalization ThresholdedReLU
    UnitNormalization
"""
SEQUENCES = """
    AdditiveAttention Attention Bidirectional ConvLSTM1D ConvLSTM2D ConvLSTM3D GRU GRUCell GroupQueryAttention LSTM
    LSTMCell MultiHeadAttention RNN SimpleRNN SimpleRNNCell StackedRNNCells TimeDistributed
"""
PREPROCESSING = """
    AugMix AutoContrast CategoryEncoding CenterCrop ContrastLimitedAdaptiveHistogramEqualization CutMix Discretization
    Equalization HashedCrossing Hashing IntegerLookup MaxNumBoundingBoxes MelSpectrogram MixUp Normalization Pipeline
    RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
    RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHeight RandomHue
    RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear
    RandomTranslation RandomWidth RandomZoom Rescaling Resizing STFTSpectrogram Solarization StringLookup
    TextVectorization
"""
LAYERS = names(CONVOLUTIONS, POOLING, SHAPES, CORE, SEQUENCES, PREPROCESSING)

# Rejected classes that keras.layers or Keras 2 exports. All others are allowed; a test compares the lists with Keras.
REFUSED_LAYERS = {
    "Lambda": "runs Python code of the file, or a function that the file names",
    "TFSMLayer": "loads a SavedModel from a path that the file names",
    "TorchModuleWrapper": "runs a pickled PyTorch module",
    "JaxLayer": "runs a function that the file names",
    "FlaxLayer": "runs a function that the file names",
    "TensorFlowOpLayer": "runs an operation of TensorFlow that the file names",
    "Layer": "is a base class",
    "Wrapper": "is a base class",
    "InputSpec": "is not a layer",
    **dict.fromkeys(
        names("""
            AddLoss AddMetric ClassMethod DenseFeatures InstanceMethod InstanceProperty RandomFourierFeatures
        """),
        "of Keras 2 is not known to compute only",
    ),
}

# Keras names initializers and similar objects by class, as "GlorotUniform", or as "glorot_uniform".
INITIALIZERS = names("""
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones
    Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer TruncatedNormal VarianceScaling
    Zeros constant glorot_normal glorot_uniform he_normal he_uniform identity lecun_normal lecun_uniform ones orthogonal
    random_normal random_uniform stft truncated_normal variance_scaling zeros normal uniform one zero
    Normal Uniform One Zero
""")
REGULARIZERS = names("L1 L1L2 L2 OrthogonalRegularizer l1 l1_l2 l2 orthogonal_regularizer")
CONSTRAINTS = names("""
    MaxNorm MinMaxNorm NonNeg RadialConstraint UnitNorm max_norm maxnorm min_max_norm non_neg nonneg radial_constraint
    unit_norm unitnorm
""")
ACTIVATIONS = names("""
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid
    sparsemax squareplus swish tanh tanh_shrink threshold
""")
DTYPE_POLICIES = names("""
    AWQDTypePolicy DTypePolicy DTypePolicyMap FloatDTypePolicy GPTQDTypePolicy Int4DTypePolicy Policy PolicyV1
    QuantizedDTypePolicy QuantizedFloat8DTypePolicy
""")
QUANTIZERS = names("""
    AWQConfig AbsMaxQuantizer Float8QuantizationConfig GPTQConfig Int4QuantizationConfig Int8QuantizationConfig
    QuantizationConfig
""")
RANDOM = names("SeedGenerator")

# Names in training configurations. Keras reads the training configuration of nested models.
LOSSES = names("""
    BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy CategoricalFocalCrossentropy
    CategoricalGeneralizedCrossEntropy CategoricalHinge Circle CosineSimilarity Dice Hinge Huber KLDivergence LogCosh
    MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
    SparseCategoricalCrossentropy SquaredHinge Tversky
    binary_crossentropy binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy
    categorical_generalized_cross_entropy categorical_hinge circle cosine_similarity ctc dice hinge huber kl_divergence
    log_cosh mean_absolute_error mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error
    poisson sparse_categorical_crossentropy squared_hinge tversky mse mae mape msle
""")
METRICS = names("""
    AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy CategoricalCrossentropy
    CategoricalHinge ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives FalsePositives Hinge IoU
    KLDivergence LogCoshError Mean MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanMetricWrapper
    MeanSquaredError MeanSquaredLogarithmicError OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision
    PrecisionAtRecall R2Score Recall RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity
    SparseCategoricalAccuracy SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SpecificityAtSensitivity
    SquaredHinge Sum TopKCategoricalAccuracy TrueNegatives TruePositives
    accuracy acc binary_accuracy binary_crossentropy binary_focal_crossentropy categorical_accuracy
    categorical_crossentropy categorical_focal_crossentropy categorical_hinge concordance_correlation hinge huber
    kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error mean_squared_error
    mean_squared_logarithmic_error pearson_correlation poisson sparse_categorical_accuracy
    sparse_categorical_crossentropy sparse_top_k_categorical_accuracy squared_hinge top_k_categorical_accuracy
""")
OPTIMIZERS = names("""
    Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer MultiOptimizer Muon Nadam
    OptimizerMap RMSprop SGD ScheduleFreeAdamW
    CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay
""")

# Operations of keras.ops, which files contain as layers.
OPERATIONS = names(
    """
    Cast ConvertToTensor SaturateCast Scatter ScatterUpdate Slice SliceUpdate StopGradient Unstack Rearrange
    AffineTransform CropImages ElasticTransform ExtractPatches GaussianBlur HSVToRGB MapCoordinates PadImages
    PerspectiveTransform RGBToGrayscale RGBToHSV Resize SSIM ScaleAndTranslate SobelEdges
    Cholesky CholeskyInverse Det Eig Eigh Inv Lstsq LuFactor MatrixRank Norm Pinv Qr SVD Solve SolveTriangular
    CDist Erf Erfc Erfinv ExtractSequences FFT FFT2 IFFT2 IRFFT ISTFT InTopK Logdet Logsumexp RFFT Rsqrt STFT SegmentMax
    SegmentMin SegmentProd SegmentReduction SegmentSum TopK ViewAsComplex ViewAsReal
    """,
    """
    AdaptiveAveragePool AdaptiveMaxPool AveragePool BatchNorm BinaryCrossentropy CTCDecode CTCLoss
    CategoricalCrossentropy Celu Conv ConvTranspose DepthToSpace DepthwiseConv DotProductAttention Elu Fold Gelu Glu
    HardShrink HardSigmoid HardSilu HardTanh LayerNorm LeakyRelu LogSigmoid LogSoftmax MaxPool Moments MultiHot
    Normalize OneHot PSNR Polar RMSNorm Relu Relu6 Selu SeparableConv Sigmoid Silu SoftShrink Softmax Softplus Softsign
    SpaceToDepth SparseCategoricalCrossentropy SparsePlus SparseSigmoid Sparsemax Squareplus TanhShrink Threshold Unfold
    """,
    """
    Abs Absolute Add All AllClose Amax Amin Angle Any Append Arange Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh
    Argmax Argmin Argpartition Argsort Array ArraySplit Average Bincount BitwiseAnd BitwiseInvert BitwiseLeftShift
    BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor BroadcastTo Cbrt Ceil Clip Concatenate Conj Conjugate Copy
    Corrcoef Correlate Cos Cosh CountNonzero Cross Cumprod Cumsum Deg2rad Diag Diagflat Diagonal Diff Digitize Divide
    DivideNoNan Dot Dsplit Dstack Einsum EmptyLike Equal Exp Exp2 ExpandDims Expm1 Fabs Flip Fliplr Flipud Floor
    FloorDivide Fmax Fmin Fmod Full FullLike Gcd Geomspace GetItem Greater GreaterEqual Heaviside Histogram Hsplit
    Hstack Hypot I0 Imag Inner IsIn Isclose Isfinite Isinf Isnan Isneginf Isposinf Isreal Kron Lcm Ldexp LeftShift Less
    LessEqual Linspace Log Log10 Log1p Log2 Logaddexp Logaddexp2 LogicalAnd LogicalNot LogicalOr LogicalXor Logspace
    Matmul Max Maximum Mean Median Meshgrid Min Minimum Mod Moveaxis Multiply NanToNum Nanargmax Nanargmin Nancumprod
    Nancumsum Nanmax Nanmean Nanmedian Nanmin Nanpercentile Nanprod Nanquantile Nanstd Nansum Nanvar Ndim Negative
    Nextafter Nonzero NotEqual OnesLike Outer Pad Percentile Power Prod Ptp Quantile Rad2deg Ravel Real Reciprocal
    Repeat Reshape RightShift Roll Rot90 Round SearchSorted Select Sign Signbit Sin Sinc Sinh Size Slogdet Sort Split
    Sqrt Square Squeeze Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh Tensordot Tile Trace Transpose
    Trapezoid Tril Triu TrueDivide Trunc Unique UnravelIndex Vander Var Vdot View Vsplit Vstack Where ZerosLike
    """,
)
REFUSED_OPERATIONS = names(
    "AssociativeScan Cond ForiLoop JVP Map Scan Switch VectorizedMap WhileLoop Operation Function"
)

# Functions of one tensor in keras.ops, which may be used as activations.
OPERATION_FUNCTIONS = ACTIVATIONS | names("""
    abs absolute arctan cos erf exp identity log log1p negative normalize reciprocal rsqrt sign sin square sqrt
""")

# Functions of TensorFlow that Keras 2 writes as layers (TFOpLambda, SlicingOpLambda).
OPERATION_LAYERS = names("TFOpLambda SlicingOpLambda")

# The packages of Keras, after "keras.", "keras.src." or "tf_keras.src.", with the allowed names in each.
PACKAGES = {
    "": MODELS | names("DTypePolicy FloatDTypePolicy"),
    "activations": frozenset[str](),
    "applications": names("CustomScaleLayer LayerScale StochasticDepth"),
    "constraints": CONSTRAINTS,
    "dtype_policies": DTYPE_POLICIES,
    "engine": MODELS | names("InputLayer"),
    "initializers": INITIALIZERS,
    "layers": LAYERS,
    "losses": LOSSES,
    "metrics": METRICS,
    "mixed_precision": DTYPE_POLICIES,
    "models": MODELS,
    "ops": OPERATIONS,
    "optimizers": OPTIMIZERS,
    "quantizers": QUANTIZERS,
    "random": RANDOM,
    "regularizers": REGULARIZERS,
}
# All allowed names in files of Keras 1 and 2, which contain no packages.
BARE = frozenset().union(*(found for package, found in PACKAGES.items() if package != "ops"))
# The present and former layers of Keras, allowed or not, which are not custom classes.
KERAS = BARE.union(REFUSED_LAYERS, OPERATION_LAYERS)
FUNCTIONS = {
    "activations": ACTIVATIONS,
    "losses": LOSSES,
    "metrics": METRICS,
    "ops": OPERATION_FUNCTIONS,
}
# Keras assigns its built-in functions to the module "builtins" in files.
BUILTIN_FUNCTIONS = ACTIVATIONS | LOSSES | METRICS

# Python and tensor values that Keras stores like objects.
STRUCTURES = names("""
    TensorShape __bytes__ __ellipsis__ __keras_tensor__ __numpy__ __slice__ __tensor__ __tuple__ slice
""")
REFUSED_STRUCTURES = {
    "CompositeTensor": "a value is of a type that the file names",
    "TypeSpec": "a value is of a type that the file names",
    "__lambda__": "the file holds Python code (a lambda)",
    "__typespec__": "a value is of a type that the file names",
}
DTYPES = names("""
    bfloat16 bool complex64 complex128 double float float16 float32 float64 float8_e4m3fn float8_e5m2 half int int4 int8
    int16 int32 int64 string uint4 uint8 uint16 uint32 uint64
""")

# The functions of TensorFlow that only compute.
TENSORFLOW_MATH = """
    abs accumulate_n acos acosh add add_n angle argmax argmin asin asinh atan atan2 atanh ceil conj cos cosh
    count_nonzero cumprod cumsum cumulative_logsumexp digamma divide divide_no_nan equal erf erfc erfcinv erfinv exp
    expm1 floor floordiv floormod greater greater_equal igamma igammac imag in_top_k invert_permutation is_finite is_inf
    is_nan l2_normalize less less_equal lgamma log log1p log_sigmoid log_softmax logical_and logical_not logical_or
    logical_xor maximum minimum mod multiply multiply_no_nan ndtri negative nextafter not_equal pow real reciprocal
    reciprocal_no_nan reduce_all reduce_any reduce_euclidean_norm reduce_logsumexp reduce_max reduce_mean reduce_min
    reduce_prod reduce_std reduce_sum reduce_variance rint round rsqrt scalar_mul segment_max segment_mean segment_min
    segment_prod segment_sum sigmoid sign sin sinh softmax softplus softsign sqrt square squared_difference subtract tan
    tanh top_k truediv unsorted_segment_max unsorted_segment_mean unsorted_segment_min unsorted_segment_prod
    unsorted_segment_sum xdivy xlog1py xlogy zero_fraction
"""
TENSORFLOW_NN = """
    avg_pool avg_pool1d avg_pool2d avg_pool3d batch_normalization bias_add conv1d conv1d_transpose conv2d
    conv2d_transpose conv3d conv3d_transpose conv_transpose convolution crelu depth_to_space depthwise_conv2d dilation2d
    dropout elu erosion2d gelu in_top_k l2_loss l2_normalize leaky_relu local_response_normalization log_softmax lrn
    max_pool max_pool1d max_pool2d max_pool3d moments normalize_moments pool relu relu6 selu separable_conv2d sigmoid
    silu softmax softplus softsign space_to_batch space_to_depth sufficient_statistics swish tanh top_k
    weighted_moments with_space_to_batch zero_fraction
"""
TENSORFLOW_OTHER = """
    __operators__.add __operators__.eq __operators__.getitem __operators__.ne broadcast_to cast clip_by_norm
    clip_by_value compat.v1.nn.avg_pool compat.v1.nn.conv2d compat.v1.nn.depthwise_conv2d compat.v1.nn.max_pool
    compat.v1.nn.softmax compat.v1.pad compat.v1.shape compat.v1.squeeze compat.v1.transpose compat.v1.where concat
    convert_to_tensor einsum expand_dims eye fill gather gather_nd identity image.adjust_brightness
    image.adjust_contrast image.central_crop image.convert_image_dtype image.crop_to_bounding_box image.flip_left_right
    image.flip_up_down image.grayscale_to_rgb image.pad_to_bounding_box image.per_image_standardization
    image.resize image.resize_with_crop_or_pad image.rgb_to_grayscale image.rgb_to_hsv image.rot90 image.transpose
    linalg.l2_normalize linalg.matmul linalg.norm
    linalg.normalize one_hot ones ones_like pad range rank repeat reshape reverse roll shape size slice split squeeze
    stack stop_gradient strided_slice tensordot tile transpose unstack where zeros zeros_like
"""
TENSORFLOW_FUNCTIONS = frozenset(
    [
        *(f"math.{name}" for name in TENSORFLOW_MATH.split()),
        *(f"nn.{name}" for name in TENSORFLOW_NN.split()),
        *TENSORFLOW_OTHER.split(),
    ]
)
