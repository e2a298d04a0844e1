// Runs every audit of GraphQL over HTTP against the address that is its argument, and writes the verdicts as JSON.
"use strict";

const { auditServer } = require("graphql-http");

(async () => {
  const results = await auditServer({ url: process.argv[2] });
  const verdicts = results.map(({ id, name, status, reason = null }) => ({ id, name, status, reason }));
  process.stdout.write(JSON.stringify(verdicts));
})();
