"""The operations of TensorFlow that a file may use without being trusted.

The lists contain the operations that classifiers need. Some operations are excluded on purpose, although some
classifiers contain them: those that read or write files, print, call Python, load libraries, communicate with other
processes or machines, decode files, take serialized objects, expose uninitialized memory, or compile code in the file.
An operation on no list is rejected, including those that later versions of TensorFlow add.
"""

from __future__ import annotations

MATHEMATICS = """
    Abs AccumulateNV2 Acos Acosh Add AddN AddV2 All Angle Any ApproximateEqual ArgMax ArgMin Asin Asinh Atan Atan2
    Atanh BatchMatMul BatchMatMulV2 BatchMatMulV3 BesselI0 BesselI0e BesselI1 BesselI1e Betainc Bincount Bitcast
    BitwiseAnd BitwiseOr BitwiseXor Bucketize Cast Ceil Cholesky ClipByValue Complex ComplexAbs Conj Cos Cosh Cross
    Cumprod Cumsum CumulativeLogsumexp DenseBincount Digamma Div DivNoNan Einsum Equal Erf Erfc Erfinv EuclideanNorm
    Exp Expm1 FFT FFT2D FFT3D Floor FloorDiv FloorMod Greater GreaterEqual HistogramFixedWidth IFFT IFFT2D IFFT3D IRFFT
    IRFFT2D IRFFT3D Igamma Igammac Imag InTopK InTopKV2 Inv Invert IsFinite IsInf IsNan L2Loss LeftShift Less LessEqual
    Lgamma LinSpace Log Log1p LogMatrixDeterminant LogicalAnd LogicalNot LogicalOr Lu MatMul MatrixBandPart
    MatrixDeterminant MatrixInverse MatrixSolve MatrixSolveLs MatrixTriangularSolve Max Maximum Mean Min Minimum Mod
    Mul MulNoNan Ndtri Neg NextAfter NotEqual NthElement Polygamma Pow Prod Qr RFFT RFFT2D RFFT3D Real RealDiv
    Reciprocal RightShift Rint Round Rsqrt SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum SelfAdjointEigV2
    Sigmoid Sign Sin Sinh Sqrt Square SquaredDifference Sub Sum Svd Tan Tanh TopK TopKV2 TruncateDiv TruncateMod
    UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum Xdivy Xlog1py Xlogy Zeta
"""
SHAPES = """
    BatchToSpace BatchToSpaceND BroadcastArgs BroadcastGradientArgs BroadcastTo Concat ConcatOffset ConcatV2
    ConjugateTranspose DepthToSpace Diag DiagPart DynamicPartition DynamicStitch EnsureShape ExpandDims Fill Gather
    GatherNd GatherV2 InvertPermutation ListDiff LowerBound MatrixDiag MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3
    MatrixDiagV2 MatrixDiagV3 MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MirrorPad OneHot OnesLike Pack Pad PadV2
    ParallelDynamicStitch Range Rank Reshape Reverse ReverseSequence ReverseV2 Roll ScatterNd Select
    SelectV2 Shape ShapeN Size Slice SpaceToBatch SpaceToBatchND SpaceToDepth SparseToDense Split SplitV Squeeze
    StridedSlice TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate
    TensorStridedSliceUpdate Tile Transpose Unique UniqueV2 UniqueWithCounts UniqueWithCountsV2 Unpack UnravelIndex
    UpperBound Where ZerosLike
"""
NETWORKS = """
    AvgPool AvgPool3D BatchNormWithGlobalNormalization BiasAdd BiasAddV1 Conv Conv2D Conv2DBackpropInput
    Conv2DBackpropInputV2 Conv3D Conv3DBackpropInput Conv3DBackpropInputV2 Dequantize DepthwiseConv2dNative
    DepthwiseConv2dNativeBackpropInput Dilation2D Elu FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxVarsPerChannel FractionalAvgPool FractionalMaxPool FusedBatchNorm FusedBatchNormV2
    FusedBatchNormV3 FusedPadConv2D FusedResizeAndPadConv2D GRUBlockCell LRN LSTMBlockCell LeakyRelu LogSoftmax MaxPool
    MaxPool3D MaxPoolV2 MaxPoolWithArgmax QuantizeAndDequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3
    QuantizeAndDequantizeV4 Relu Relu6 Selu Softmax Softplus Softsign SparseMatMul
    _FusedBatchNormEx _FusedConv2D _FusedDepthwiseConv2dNative _FusedMatMul
"""
IMAGES = """
    AdjustContrast AdjustContrastv2 AdjustHue AdjustSaturation CombinedNonMaxSuppression CropAndResize ExtractGlimpse
    ExtractGlimpseV2 ExtractImagePatches ExtractVolumePatches HSVToRGB ImageProjectiveTransformV2
    ImageProjectiveTransformV3 NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4
    NonMaxSuppressionV5 RGBToHSV ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate
"""
# Operations for gradients: trained graphs contain them, and functions may use them in the forward pass.
GRADIENTS = """
    AvgPool3DGrad AvgPoolGrad BiasAddGrad CholeskyGrad Conv2DBackpropFilter Conv2DBackpropFilterV2 Conv3DBackpropFilter
    Conv3DBackpropFilterV2 CropAndResizeGradBoxes CropAndResizeGradImage DepthwiseConv2dNativeBackpropFilter
    Dilation2DBackpropFilter Dilation2DBackpropInput EluGrad FakeQuantWithMinMaxArgsGradient
    FakeQuantWithMinMaxVarsGradient FakeQuantWithMinMaxVarsPerChannelGradient FractionalAvgPoolGrad
    FractionalMaxPoolGrad FusedBatchNormGrad FusedBatchNormGradV2 FusedBatchNormGradV3 IgammaGradA InvGrad LRNGrad
    LeakyReluGrad MaxPool3DGrad MaxPool3DGradGrad MaxPoolGrad MaxPoolGradGrad MaxPoolGradGradV2 MaxPoolGradV2
    MaxPoolGradWithArgmax MirrorPadGrad QuantizeAndDequantizeV4Grad ReciprocalGrad Relu6Grad ReluGrad ResizeBicubicGrad
    ResizeBilinearGrad ResizeNearestNeighborGrad RsqrtGrad ScaleAndTranslateGrad SeluGrad SigmoidGrad
    SoftmaxCrossEntropyWithLogits SoftplusGrad SoftsignGrad SparseSoftmaxCrossEntropyWithLogits SqrtGrad
    StridedSliceGrad TanhGrad
"""
CONTROL_FLOW = """
    Assert Case CheckNumerics Const ControlTrigger Enter Exit GuaranteeConst Identity IdentityN If LoopCond Merge
    NextIteration NoOp PartitionedCall Placeholder PlaceholderV2 PlaceholderWithDefault PreventGradient RefEnter
    RefExit RefIdentity RefMerge RefNextIteration RefSelect RefSwitch Snapshot StatefulPartitionedCall StatelessCase
    StatelessIf StatelessWhile StopGradient Switch While _Arg _Retval
"""
LISTS = """
    EmptyTensorList TensorArrayCloseV3 TensorArrayConcatV3 TensorArrayGatherV3 TensorArrayReadV3 TensorArrayScatterV3
    TensorArraySizeV3 TensorArraySplitV3 TensorArrayV3 TensorArrayWriteV3 TensorListConcat TensorListConcatV2
    TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem TensorListLength TensorListPopBack
    TensorListPushBack TensorListReserve TensorListResize TensorListScatter TensorListScatterIntoExistingList
    TensorListScatterV2 TensorListSetItem TensorListSplit TensorListStack
"""
# Assignments change a variable in memory, such as the seed of an augmentation, never the file.
VARIABLES = """
    Assign AssignAdd AssignAddVariableOp AssignSub AssignSubVariableOp AssignVariableOp IsVariableInitialized
    ReadVariableOp ResourceGather ResourceGatherNd ResourceScatterAdd ResourceScatterNdUpdate ResourceScatterUpdate
    ScatterAdd ScatterUpdate VarHandleOp VarIsInitializedOp Variable VariableShape VariableV2
"""
RANDOM = """
    Multinomial ParameterizedTruncatedNormal RandomGamma RandomPoissonV2 RandomShuffle RandomStandardNormal
    RandomUniform RandomUniformInt RngReadAndSkip RngSkip StatefulStandardNormal StatefulStandardNormalV2
    StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt StatefulUniformInt StatelessMultinomial
    StatelessParameterizedTruncatedNormal StatelessRandomBinomial StatelessRandomGammaV2 StatelessRandomGetAlg
    StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg StatelessRandomNormal StatelessRandomNormalV2
    StatelessRandomPoisson StatelessRandomUniform StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2
    StatelessRandomUniformInt StatelessRandomUniformIntV2 StatelessRandomUniformV2 StatelessSampleDistortedBoundingBox
    StatelessShuffle StatelessTruncatedNormal StatelessTruncatedNormalV2 TruncatedNormal
"""
# Operations that convert class indices to names, with tables in memory. Filling a table from a file is listed below.
NAMES = """
    AnonymousHashTable AsString HashTable HashTableV2 InitializeTable InitializeTableV2 LookupTableFind
    LookupTableFindV2 LookupTableImport LookupTableImportV2 LookupTableSize LookupTableSizeV2 MutableHashTable
    MutableHashTableV2 StringJoin StringLength StringLower StringStrip StringUpper Substr
"""

ALLOWED = frozenset(
    " ".join(
        (MATHEMATICS, SHAPES, NETWORKS, IMAGES, GRADIENTS, CONTROL_FLOW, LISTS, VARIABLES, RANDOM, NAMES)
    ).split()
)  # fmt: skip

# A file may contain these operations if neither predictions nor initializers depend on them. Without trust, they are
# removed before the graph is used, so that they never run.
SAVING = """
    DisableCopyOnRead MergeV2Checkpoints Restore RestoreSlice RestoreV2 Save SaveSlices SaveV2 ShardedFilename
    ShardedFilespec StaticRegexFullMatch LookupTableExport LookupTableExportV2
"""
TRAINING = """
    ApplyAdaMax ApplyAdadelta ApplyAdagrad ApplyAdagradDA ApplyAdagradV2 ApplyAdam ApplyAddSign ApplyCenteredRMSProp
    ApplyFtrl ApplyFtrlV2 ApplyGradientDescent ApplyMomentum ApplyPowerSign ApplyProximalAdagrad
    ApplyProximalGradientDescent ApplyRMSProp CountUpTo ResourceApplyAdaMax ResourceApplyAdadelta ResourceApplyAdagrad
    ResourceApplyAdagradDA ResourceApplyAdagradV2 ResourceApplyAdam ResourceApplyAdamWithAmsgrad ResourceApplyAddSign
    ResourceApplyCenteredRMSProp ResourceApplyFtrl ResourceApplyFtrlV2 ResourceApplyGradientDescent
    ResourceApplyKerasMomentum ResourceApplyMomentum ResourceApplyPowerSign ResourceApplyProximalAdagrad
    ResourceApplyProximalGradientDescent ResourceApplyRMSProp ResourceSparseApplyAdadelta ResourceSparseApplyAdagrad
    ResourceSparseApplyAdagradV2 ResourceSparseApplyFtrl ResourceSparseApplyFtrlV2 ResourceSparseApplyKerasMomentum
    ResourceSparseApplyMomentum ResourceSparseApplyRMSProp ScatterSub SparseApplyAdadelta SparseApplyAdagrad
    SparseApplyFtrl SparseApplyFtrlV2 SparseApplyMomentum SparseApplyRMSProp
"""
# Summaries of a training, which are texts in memory, and its input queues.
FEEDING = """
    AudioSummary AudioSummaryV2 BatchDataset BatchDatasetV2 DecodeBase64 DecodeBmp DecodeGif DecodeImage DecodeJpeg
    DecodePng DecodeRaw EncodeBase64 ExtractJpegShape FIFOQueue FIFOQueueV2 HistogramSummary ImageSummary Iterator
    IteratorGetNext IteratorV2 MergeSummary PaddingFIFOQueue PaddingFIFOQueueV2 ParseExample ParseExampleV2
    ParseSingleExample QueueClose QueueCloseV2 QueueDequeue QueueDequeueMany QueueDequeueManyV2 QueueDequeueUpTo
    QueueDequeueUpToV2 QueueDequeueV2 QueueEnqueue QueueEnqueueMany QueueEnqueueManyV2 QueueEnqueueV2 QueueIsClosed
    QueueIsClosedV2 QueueSize QueueSizeV2 RandomShuffleQueue RandomShuffleQueueV2 SampleDistortedBoundingBox
    SampleDistortedBoundingBoxV2 ScalarSummary TensorSummary TensorSummaryV2
"""
# Operations that fill a table from a text file, an asset of the model that predictions do not need.
TEXT_FILE = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
DORMANT = frozenset(" ".join((SAVING, TRAINING, FEEDING)).split()) | TEXT_FILE

# Explanations of rejected operations, by words in their names.
REASONS = (
    (("PyFunc",), "calls Python"),
    (("WriteFile", "ToTFRecord", "SaveDataset", "SnapshotDataset", "CacheDataset", "SummaryWriter", "SummaryDbWriter",
      "WriteSummary", "WriteImageSummary", "WriteGraphSummary", "DebugIdentity", "DebugNan", "DebugNumeric",
      "DumpTensor", "CalibrationStatisticsSaver", "Save", "MergeV2Checkpoints"),
     "writes files"),
    (("ReadFile", "Reader", "RecordDataset", "TextLineDataset", "MatchingFiles", "SqlDataset", "LMDBDataset",
      "CSVDataset", "ImmutableConst", "LoadDataset", "FromTextFile", "LoadAndRemap", "Restore",
      "RecordInput", "VocabRemapping"), "reads files"),
    (("Print",), "prints"),
    (("Rpc", "DataService", "Recv", "Send", "Collective", "RemoteCall"), "communicates with other processes"),
    (("Dataset", "Iterator", "Queue"), "supplies training data"),
    (("XlaCallModule", "CustomCall", "XlaLaunch"), "compiles code that is stored in the file"),
    (("Decode", "Parse", "Deserialize"), "decodes data"),
)  # fmt: skip


def describe(operation: str) -> str:
    """Return a clause that explains why an operation is rejected."""
    for words, what in REASONS:
        if any(word in operation for word in words):
            return f"the operation {operation} {what}"
    return f"the operation {operation} is not known to be harmless"
