# The title at the top of every page.
APP_TITLE = "Picasso"

# The address to listen on; anything but loopback is reachable by others.
HOST = "127.0.0.1"

# The port to listen on.
PORT = 5000

# What visitors must type; needed to listen on anything but loopback. $PICASSO_PASSWORD is taken first.
PASSWORD = ""

# A file that holds the password, such as a secret of Docker; it wins over both.
PASSWORD_FILE = ""

# Whether others may be served without a password.
OPEN = False

# Host names under which the server is reached, besides this machine's own.
TRUSTED_HOSTS = []

# How many proxies stand before the server; of so many, the forwarded headers are believed.
PROXIES = 0

# Which headers those proxies set: "X-Forwarded" (-For, -Proto, -Host, -Port) or "Forwarded" (RFC 7239).
PROXY_HEADERS = "X-Forwarded"

# The path under which visitors reach the server, such as "/picasso"; "" takes what a proxy says.
PREFIX = ""

# How many requests are answered at once; at most half of them may wait for the model.
THREADS = 8

# Whether each request is written to the log as a line of JSON.
LOG_REQUESTS = False

# A model file to load; "" uses the class that the next three settings name.
MODEL = ""

# The Python file that holds your model class.
MODEL_CLS_PATH = "{picasso}/examples/keras/model.py"

# The name of the model class in that file.
MODEL_CLS_NAME = "KerasMNISTModel"

# The keyword arguments of the class's load() method.
MODEL_LOAD_ARGS = {"data_dir": "{picasso}/examples/keras/data"}

# A file with the class names: .txt, .json, .yaml or .csv.
LABELS = ""

# How images become inputs, such as "-1..1 crop", or "module:function".
PREPROCESS = ""

# What the values of the model's output are, such as "logits" or "sigmoid"; "" finds it out.
OUTPUT = ""

# Whether code inside the model file (Lambda layers, file operations) may run.
TRUST_MODEL = False

# Megabytes that the tensors of a model file may take, unpacked.
MODEL_MB = 4000

# Models to compare with: a name for each, and those of the settings above that differ.
COMPARE = {}

# A folder of images to offer as samples, at any depth; "" offers none.
SAMPLES_DIR = "{picasso}/examples/samples/mnist"

# Folders with visualizations of your own and their templates.
PLUGIN_DIRS = []

# Python files with interventions of your own, which audits try, too.
INTERVENTIONS = []

# How many of the most probable classes are shown and explained.
TOP_CLASSES = 5

# Megabytes that the windows of an occlusion map may take at once; larger is not faster.
OCCLUSION_MB = 300

# The largest upload request, in megabytes.
MAX_UPLOAD_MB = 64

# The largest image, in millions of pixels.
MAX_MEGAPIXELS = 50

# How many uploaded images are decoded at once.
DECODE_PROCESSES = 2

# Megabytes that decoding them may take together, and so the most for one of them.
DECODE_MB = 600

# Seconds of a processor that decoding an uploaded image may take.
DECODE_SECONDS = 10

# How many images a session may hold.
MAX_IMAGES = 500

# How many sessions the server may hold.
MAX_SESSIONS = 100

# Megabytes that the images and results of a session may take.
SESSION_MB = 2000

# Megabytes that those of all sessions may take.
TOTAL_MB = 20000

# Minutes without a request after which a session's files are deleted.
SESSION_MINUTES = 120

# How many runs and audits may wait or compute at once.
QUEUE_LENGTH = 20

# Minutes that a run or an audit may compute; then it fails, and the worker starts anew.
RUN_MINUTES = 120

# Minutes that a run may compute without coming any further; then it fails, and the worker starts anew.
STALL_MINUTES = 10

# The folder for temporary session folders; "" uses the system's.
WORK_DIR = ""
