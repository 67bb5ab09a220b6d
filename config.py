# Title at the top of every page.
APP_TITLE = "Picasso"

# Address to listen on. Any address except loopback can be reached from other machines.
HOST = "127.0.0.1"

# Port to listen on.
PORT = 5000

# Password for visitors; required for addresses other than loopback. $PICASSO_PASSWORD takes precedence.
PASSWORD = ""

# File with the password, such as a Docker secret. Takes precedence over both.
PASSWORD_FILE = ""

# Allow addresses other than loopback without a password.
OPEN = False

# Host names of the server, in addition to those of this machine.
TRUSTED_HOSTS = []

# Number of reverse proxies in front of the server. Forwarded headers of that many are trusted.
PROXIES = 0

# Headers that the proxies set: "X-Forwarded" (-For, -Proto, -Host, -Port) or "Forwarded" (RFC 7239).
PROXY_HEADERS = "X-Forwarded"

# URL path prefix of the server, such as "/picasso". "" uses the prefix that a proxy sends.
PREFIX = ""

# Number of requests answered in parallel. At most half of them may wait for the model.
THREADS = 8

# Log each request as a line of JSON.
LOG_REQUESTS = False

# Answer at /metrics with numbers for Prometheus.
METRICS = False

# Model file to load. "" uses the model class that the next three settings define.
MODEL = ""

# Python file with your model class. "" uses the class of an installed package.
MODEL_CLS_PATH = "{picasso}/examples/keras/model.py"

# Name of the model class in that file.
MODEL_CLS_NAME = "KerasMNISTModel"

# Keyword arguments for the load() method of the class.
MODEL_LOAD_ARGS = {"data_dir": "{picasso}/examples/keras/data"}

# File with the class names: .txt, .json, .yaml or .csv.
LABELS = ""

# Preprocessing of images, such as "-1..1 crop", or "module:function".
PREPROCESS = ""

# What the model was trained to do, such as "segmentation" or "regression". "" detects it.
TASK = ""

# Unit of the values of a regression, such as "years".
UNIT = ""

# Kind of output of the model, such as "logits" or "sigmoid". "" detects it.
OUTPUT = ""

# Allow code in the model file (Lambda layers, file operations) to run.
TRUST_MODEL = False

# Maximum size of the unpacked tensors of a model file, in megabytes.
MODEL_MB = 4000

# Models to compare with: for each a name and the model settings that differ.
COMPARE = {}

# Folder of sample images, searched recursively. "" offers no samples.
SAMPLES_DIR = "{picasso}/examples/samples/mnist"

# Folders with custom visualizations and their templates.
PLUGIN_DIRS = []

# Python files with custom interventions for audits.
INTERVENTIONS = []

# Let visitors mend the model by an audit and download the mended copy.
MENDING = False

# Number of most probable classes to show and explain.
TOP_CLASSES = 5

# Memory for the windows of an occlusion map, in megabytes. Higher values are not faster.
OCCLUSION_MB = 300

# Arithmetic of predictions: "exact", or "fast" for bfloat16 if it is accurate enough.
PRECISION = "exact"

# Maximum difference of a probability by fast arithmetic; of other outputs, relative to the largest.
PRECISION_LIMIT = 0.01

# Maximum size of an upload request, in megabytes.
MAX_UPLOAD_MB = 64

# Maximum size of an image, in megapixels.
MAX_MEGAPIXELS = 50

# Number of uploaded images decoded in parallel.
DECODE_PROCESSES = 2

# Memory for all images being decoded, in megabytes; also the maximum for one image.
DECODE_MB = 600

# CPU time for decoding an uploaded image, in seconds.
DECODE_SECONDS = 10

# Maximum number of images in a session.
MAX_IMAGES = 5000

# Maximum number of sessions on the server.
MAX_SESSIONS = 100

# Maximum size of the images and results of a session, in megabytes.
SESSION_MB = 2000

# Maximum size of the images and results of all sessions, in megabytes.
TOTAL_MB = 20000

# Maximum size of the results that are reused for the same image and settings, in megabytes. 0 reuses none.
CACHE_MB = 1000

# Minutes without a request after which the files of a session are deleted.
SESSION_MINUTES = 120

# Keep sessions until they are deleted or the server ends, and let visitors name, list and open theirs.
KEEP_SESSIONS = False

# Where to compute: "local", "processes:N", "dask://HOST:PORT" (or dask+tls), or "folder:PATH".
ENGINE = "local"

# Maximum number of waiting and running runs and audits.
QUEUE_LENGTH = 20

# Maximum computing time of a run or an audit, in minutes. Then it fails and the worker restarts.
RUN_MINUTES = 120

# Maximum computing time of a run without progress, in minutes. Then it fails and the worker restarts.
STALL_MINUTES = 10

# Folder for temporary session folders. "" uses the system's.
WORK_DIR = ""
