/**
 * Asks upstream's API server (upstream.sh) about every sample and every change of one, and writes its answers to
 * answers.json, which resources.test.ts holds our strategies to.
 *
 *   bun test/differential/resources/record.ts DIR      the folder given to upstream.sh
 */
import { readFileSync } from "node:fs";
import { type Change, changed } from "./change.ts";
import { creates, statuses, updates } from "./faults.ts";
import { type Sample, samples } from "./samples.ts";

const [directory = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(`${directory}/${name}`, "utf8").trim();
const url = read("url");
const token = read("token");
const ca = read("ca.crt");

interface Answer {
  readonly code: number;
  readonly body: Record<string, unknown>;
}

/** Upstream panics on a few objects and resets the connection: those have no answer. */
async function ask(method: string, path: string, body?: object): Promise<Answer> {
  try {
    return await send(method, path, body);
  } catch (error) {
    console.error(`${method} ${path}: ${String(error)}`);
    return { code: 0, body: {} };
  }
}

async function send(method: string, path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    tls: { ca },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { code: response.status, body: (await response.json()) as Record<string, unknown> };
}

function collection({ group, version, plural, namespaced }: Sample): string {
  const base = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
  return `${base}${namespaced ? "/namespaces/default" : ""}/${plural}`;
}

const nameOf = (object: object): string => String((object as { metadata: { name: string } }).metadata.name);

/** What of an answer is compared: the object, or why there is none. */
function essence({ code, body }: Answer): object {
  if (code === 0) return { code };
  if (code < 300) return { code, object: body };
  const { message, details } = body as { message?: string; details?: { causes?: object[] } };
  return { code, causes: details?.causes ?? [], ...(details?.causes ? {} : { message }) };
}

async function recordChange([name, path, value]: Change, existing: object, subresource = ""): Promise<object> {
  const sample = samples[name];
  if (sample === undefined) throw new Error(`no sample ${name}`);
  const object = changed(existing, path, value);
  const at = `${collection(sample)}/${nameOf(existing)}${subresource}`;
  const answer = await ask("PUT", `${at}?dryRun=All`, object);
  return { path, ...essence(answer) };
}

async function remove(sample: Sample): Promise<void> {
  const at = `${collection(sample)}/${nameOf(sample.object)}`;
  await ask("DELETE", at, { gracePeriodSeconds: 0, propagationPolicy: "Background" });
  // No controller runs that would empty the namespace and let it go.
  if (sample.plural === "namespaces")
    await ask("PUT", `${at}/finalize`, { ...sample.object, spec: { finalizers: [] } });
}

const answers = {
  samples: {} as Record<string, object>,
  creates: [] as object[],
  updates: [] as object[],
  statuses: [] as object[],
};

for (const [name, sample] of Object.entries(samples)) {
  const answer = await ask("POST", collection(sample), sample.object);
  answers.samples[name] = essence(answer);
  if (answer.code >= 300) console.error(`${name}: ${JSON.stringify(answer.body)}`);
  // Several samples of a kind share a name; what changes are tried on is made again below.
  if (answer.code < 300) await remove(sample);
}

for (const change of creates) {
  const [name, path, value] = change;
  const sample = samples[name];
  if (sample === undefined) throw new Error(`no sample ${name}`);
  const answer = await ask("POST", `${collection(sample)}?dryRun=All`, changed(sample.object, path, value));
  answers.creates.push({ sample: name, path, ...essence(answer) });
}

for (const name of new Set([...updates, ...statuses].map(([sample]) => sample))) {
  const sample = samples[name];
  if (sample === undefined) throw new Error(`no sample ${name}`);
  const made = await ask("POST", collection(sample), sample.object);
  if (made.code >= 300) throw new Error(`${name}: ${JSON.stringify(made.body)}`);
  const { managedFields: _, ...metadata } = made.body["metadata"] as Record<string, unknown>;
  const object = { ...made.body, metadata };
  const before = { sample: name, existing: object };
  const ofSample = (changes: readonly Change[]): Change[] => changes.filter(([each]) => each === name);
  answers.updates.push({
    ...before,
    answers: await Promise.all(ofSample(updates).map((change) => recordChange(change, object))),
  });
  answers.statuses.push({
    ...before,
    answers: await Promise.all(ofSample(statuses).map((change) => recordChange(change, object, "/status"))),
  });
  await remove(sample);
}

await Bun.write(`${import.meta.dir}/answers.json`, `${JSON.stringify(answers, null, 1)}\n`);
