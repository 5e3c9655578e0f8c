/** Express, from CommonJS. */
import express = require("express");
import gatewright = require("gatewright");
import middleware = require("gatewright/middleware");

const table: gatewright.Table = gatewright.load("manifests/");
const app = express();
app.use(middleware.annotate(table));
app.get("/", (request: express.Request & middleware.Annotated, response: express.Response) => {
  response.json(request.gatewright?.toJSON());
});
