"""A gateway for the manifests of a folder, which it follows.

    pip install 'gatewright[asgi]' uvicorn
    uvicorn gateway:app --no-server-header --no-date-header --no-proxy-headers
"""

from pathlib import Path

import gatewright
from gatewright.asgi import WITHOUT_FEATURES, Gateway

manifests = gatewright.watch(Path(__file__).with_name("manifests"), without_features=WITHOUT_FEATURES)
# Where backends are, if this machine cannot resolve the names of the cluster.
app = Gateway(manifests, resolve={"default/web:8080": "127.0.0.1:9001"})
