/** Prints /metrics of a fresh API server that was asked what upstream's was. */
import { serviceAccounts } from "#shared/api/resources.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { startSecuredServer } from "../../support/secured-server.ts";
import { ask, type MetricsRequest } from "./requests.ts";

const server = await startSecuredServer({ customResources: true });
const metadata = { name: "default", namespace: "default" };
await server.admin.create(serviceAccounts, { apiVersion: "v1", kind: "ServiceAccount", metadata });
const { authorities } = server.pki;
const subject = { commonName: "admin", organizations: ["system:masters"] };
const { certificatePem: cert, keyPem: key } = await issueCertificate(authorities.ca, subject, [
  extendedKeyUsages.clientAuth,
]);

const send = ({ method, path, body, type = "application/json", authorization }: MetricsRequest): Promise<Response> =>
  fetch(`${server.url}${path}`, {
    method,
    tls: { ca: authorities.trusted, ...(authorization ? {} : { cert, key }) },
    headers: { "content-type": type, connection: "close", ...(authorization ? { authorization } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  } as RequestInit);

await ask(async (request) => {
  const answer = await send(request);
  await answer.text();
  return answer.status;
});
// Open while the page is read.
const watch = await send({ method: "GET", path: "/api/v1/namespaces?watch=1" });
process.stdout.write(await (await send({ method: "GET", path: "/metrics" })).text());
await watch.body?.cancel();
await server.stop();
