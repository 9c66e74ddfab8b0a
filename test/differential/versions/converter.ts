/** The webhook that converts widgets, over HTTPS on loopback: for upstream's server and for ours. */
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";

type Json = Record<string, unknown>;
interface Review {
  readonly apiVersion: string;
  readonly request: { readonly uid: string; readonly desiredAPIVersion: string; readonly objects: readonly Json[] };
}

export interface Converter {
  readonly url: string;
  readonly caBundle: string;
  stop(): void;
}

export async function startConverter(): Promise<Converter> {
  const authority = await createCertificateAuthority("converter-ca");
  const names = { commonName: "converter", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
  const serving = await issueCertificate(authority, names, [extendedKeyUsages.serverAuth]);
  const server = createServer({ key: serving.keyPem, cert: serving.certificatePem }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const review = JSON.parse(Buffer.concat(chunks).toString()) as Review;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ apiVersion: review.apiVersion, kind: "ConversionReview", response: answer(review) }));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${port}/convert`,
    caBundle: Buffer.from(authority.certificatePem).toString("base64"),
    stop: () => void server.close(),
  };
}

function answer({ request: { uid, desiredAPIVersion, objects } }: Review): Json {
  const refused = objects.find(({ spec }) => (spec as Json | undefined)?.["refuse"] === desiredAPIVersion);
  if (refused) return { uid, result: { status: "Failed", message: `no ${desiredAPIVersion} of this one` } };
  const convertedObjects = objects.map((object) => ({
    ...object,
    apiVersion: desiredAPIVersion,
    ...(isJson(object["spec"]) && { spec: converted(object["spec"], desiredAPIVersion) }),
  }));
  return { uid, result: { status: "Success" }, convertedObjects };
}

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** v1 and v3 have host, port and labels as a list; v2 has `hostPort` and labels as a map; v3 calls `note` `remark`. */
function converted(spec: Json, apiVersion: string): Json {
  const { host, port, hostPort, labels, note, remark, ...rest } = spec;
  const text = note ?? remark;
  const noted = text === undefined ? {} : { [apiVersion.endsWith("/v3") ? "remark" : "note"]: text };
  if (apiVersion.endsWith("/v2")) {
    const pairs = Array.isArray(labels) ? labels.map(({ name, value }: Json) => [name, value]) : undefined;
    const address = hostPort ?? (host === undefined && port === undefined ? undefined : `${host ?? ""}:${port ?? ""}`);
    return {
      ...rest,
      ...noted,
      ...(address !== undefined && { hostPort: address }),
      ...(labels !== undefined && { labels: pairs ? Object.fromEntries(pairs) : labels }),
    };
  }
  const [first, second] = typeof hostPort === "string" ? hostPort.split(":") : [host, port];
  const list = isJson(labels) ? Object.entries(labels).map(([name, value]) => ({ name, value })) : labels;
  return {
    ...rest,
    ...noted,
    ...(first !== undefined && first !== "" && { host: first }),
    ...(second !== undefined && second !== "" && { port: Number(second) }),
    ...(list !== undefined && { labels: list }),
  };
}
