// A receiver of webhooks in Node.js, with nothing but what comes with it. It prints every message once that is genuine and new.
//
//     WEBHOOK_SECRET=whsec_… node docs/examples/webhook-receiver.mjs 8080

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const TOLERANCE_SECONDS = 300;

// Whether whoever knows the secret has sent these bytes, and a moment ago.
function isGenuine(secret, headers, body, now) {
  const id = headers["webhook-id"] ?? "";
  const timestamp = headers["webhook-timestamp"] ?? "";
  if (!/^\d+$/.test(timestamp) || Math.abs(now - Number(timestamp)) > TOLERANCE_SECONDS) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const digest = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64");
  const expected = Buffer.from(`v1,${digest}`);
  const given = (headers["webhook-signature"] ?? "").split(" ").map((each) => Buffer.from(each)); // several while a secret changes
  return given.some((each) => each.length === expected.length && timingSafeEqual(each, expected));
}

const seen = new Set(); // in earnest a table of your database, for as long as messages may be sent again

createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts);
  const genuine = isGenuine(process.env.WEBHOOK_SECRET, request.headers, body, Date.now() / 1000);
  if (genuine && !seen.has(request.headers["webhook-id"])) {
    seen.add(request.headers["webhook-id"]);
    const message = JSON.parse(body);
    console.log(message.type, message.data.task?.id ?? "-");
  }
  response.writeHead(genuine ? 204 : 401).end();
}).listen(Number(process.argv[2]), "127.0.0.1");
