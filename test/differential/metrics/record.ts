/** Writes down which metrics upstream's API server has: ../upstream.sh DIR, then bun test/differential/metrics/record.ts DIR */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask, familiesIn, type MetricsRequest } from "./requests.ts";

const [folder = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const [url, token, ca] = [read("url"), read("token"), read("ca.crt")];

const send = ({ method, path, body, type = "application/json", authorization }: MetricsRequest): Promise<Response> =>
  fetch(`${url}${path}`, {
    method,
    tls: { ca },
    headers: { authorization: authorization ?? `Bearer ${token}`, "content-type": type },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });

await ask(async (request) => {
  const answer = await send(request);
  await answer.text();
  return answer.status;
});
const page = await (await send({ method: "GET", path: "/metrics" })).text();
writeFileSync(join(import.meta.dir, "families.json"), `${JSON.stringify(familiesIn(page), undefined, 2)}\n`);
