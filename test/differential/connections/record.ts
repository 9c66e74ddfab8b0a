/**
 * Asks upstream's API server and writes its answers to answers.json. ADDRESS is one of this machine, not on loopback.
 *   UPSTREAM_FLAGS="--feature-gates=MutatingAdmissionPolicy=true --runtime-config=admissionregistration.k8s.io/v1beta1=true" \
 *     test/differential/upstream.sh DIR
 *   bun test/differential/connections/record.ts DIR ADDRESS; test/differential/upstream.sh DIR stop
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { startHookServer } from "../admission/hook-server.ts";
import { answersFile } from "./answers-file.ts";
import { Noted } from "./board.ts";
import { answersOf } from "./conversation.ts";

const [folder = "", address = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const { hostname: host, port } = new URL(read("url"));
const noted = new Noted();
const pod = createServer((socket) => noted.serve(socket));
await new Promise<void>((done) => pod.listen(0, address, done));
const hooks = await startHookServer();
const authority = await createCertificateAuthority("kubelets");
const { keyPem, certificatePem } = await issueCertificate(
  authority,
  { commonName: "kubelet", ipAddresses: [address] },
  [extendedKeyUsages.serverAuth],
);
const kubelet = createTlsServer({ key: keyPem, cert: certificatePem }, (socket) => noted.serve(socket));
await new Promise<void>((done) => kubelet.listen(0, address, done));
const answers = await answersOf({
  target: {
    host,
    port: Number(port),
    tls: { ca: read("ca.crt") },
    headers: [`Authorization: Bearer ${read("token")}`],
  },
  hooks,
  noted,
  address,
  podPort: (pod.address() as { port: number }).port,
  kubeletPort: (kubelet.address() as { port: number }).port,
  // It looks for changes of policies once a second, and for schemas every five.
  settle: () => Bun.sleep(12_000),
});
writeFileSync(answersFile, `${JSON.stringify(answers, undefined, 1)}\n`);
console.log(`${Object.keys(answers).length} answers`);
process.exit();
