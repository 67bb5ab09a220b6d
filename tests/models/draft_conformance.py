import sys,warnings,os; warnings.filterwarnings("ignore")
os.environ["CUDA_VISIBLE_DEVICES"]=""
import numpy as np, onnx, traceback
import onnx.backend.test.loader as l
from onnx import numpy_helper
from collections import Counter
from pathlib import Path
sys.path.insert(0,"/work/wt/onnx")
from picasso.models.tf.onnx.translate import translate,Untranslatable,missing
from picasso.models.tf.onnx.table import tensor,OPERATIONS
from picasso.models.tf.runtime import tf
def data(case):
    if case.data_sets: 
        for i,o in case.data_sets: yield i,o
        return
    for d in sorted(Path(case.model_dir).glob("test_data_set_*")):
        def load(n): 
            out=[]
            for k in range(len(list(d.glob(n+"_*.pb")))):
                t=onnx.TensorProto(); t.ParseFromString((d/f"{n}_{k}.pb").read_bytes()); out.append(numpy_helper.to_array(t))
            return out
        yield load("input"),load("output")
kinds=sys.argv[1:] or ["node","simple","pytorch-operator","pytorch-converted"]
for kind in kinds:
    res=Counter(); fails=[]; unk=Counter()
    for case in l.load_model_tests(kind=kind):
        model=case.model or onnx.load(str(Path(case.model_dir)/"model.onnx"))
        ops={n.op_type for n in model.graph.node}
        if any(n.domain not in ("","ai.onnx") for n in model.graph.node): res["domain"]+=1; continue
        m=missing(model.graph)
        if m: res["missing"]+=1; unk.update(m); continue
        for attempt in (0,1):
          try:
            for ins,outs in data(case):
                names=[i.name for i in model.graph.input]
                init={i.name for i in model.graph.initializer}
                names=[n for n in names if n not in init][:len(ins)]
                got={}
                consts={}
                def f(*xs):
                    d=dict(zip(names,xs))
                    # integer/bool inputs that are not the first are known
                    return {k:tensor(v) for k,v in translate(model,{**d,**consts}).items()}
                floats=[(n,x) for n,x in zip(names,ins)]
                consts.update({n:x for j,(n,x) in enumerate(floats) if isinstance(x,np.ndarray) and j>0 and (attempt or x.dtype.kind in "iub")})
                live=[(n,x) for n,x in floats if n not in consts]
                names=[n for n,_ in live]
                r=tf.function(f,autograph=False)(*[tf.constant(x) for _,x in live])
                for o,w in zip(model.graph.output,outs):
                    g=r[o.name].numpy()
                    np.testing.assert_equal(g.dtype,w.dtype); np.testing.assert_equal(g.shape,w.shape)
                    np.testing.assert_allclose(g.astype(np.float64) if g.dtype.kind!="O" else g,w.astype(np.float64) if w.dtype.kind!="O" else w,rtol=getattr(case,"rtol",1e-3),atol=getattr(case,"atol",1e-7))
            res["ok"]+=1; break
          except Untranslatable as e:
            if attempt: res["untranslatable"]+=1; fails.append((case.name,"U "+str(e)[:110]))
          except Exception as e:
            if attempt: res["fail"]+=1; fails.append((case.name,type(e).__name__+" "+str(e).strip().replace("\n"," ")[:110]))
    print(kind,dict(res)); print(unk.most_common(70))
    for x in fails: print("  ",*x)
