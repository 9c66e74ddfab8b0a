import { expect, test } from "bun:test";
import { createPrivateKey } from "node:crypto";
import { parse } from "yaml";
import { createCertificateAuthority } from "../pki/certificate.ts";
import { renderKubeconfig } from "../pki/kubeconfig.ts";
import { loadKubeconfig, parseKubeconfig } from "./kubeconfig.ts";

test("a kubeconfig of ours names further API servers, in an extension that others pass over", () => {
  const text = renderKubeconfig({
    server: "https://10.0.0.1:6443",
    furtherServers: ["https://10.0.0.2:6443", "https://10.0.0.1:6443/"],
    caCertificatePem: "CA",
    credentials: { token: "t" },
  });
  const { servers, credentials } = parseKubeconfig(text, "/");
  expect(servers).toEqual(["https://10.0.0.1:6443", "https://10.0.0.2:6443"]);
  expect(credentials()).toMatchObject({ ca: "CA", token: "t" });
});

test("the key of a kubeconfig says by itself of which algorithm it is", async () => {
  const credentials = await createCertificateAuthority("somebody");
  const text = renderKubeconfig({ server: "https://10.0.0.1:6443", caCertificatePem: "CA", credentials });
  const { users } = parse(text) as { users: { user: { "client-key-data": string } }[] };
  const key = Buffer.from(users[0]?.user["client-key-data"] ?? "", "base64").toString();
  expect(key).toMatch(/^-----BEGIN EC PRIVATE KEY-----\n/);
  const { d } = createPrivateKey(key).export({ format: "jwk" });
  expect(d).toBe(createPrivateKey(credentials.keyPem).export({ format: "jwk" }).d);
});

const pointing = `
current-context: c
clusters: [{ name: c, cluster: { server: "https://10.0.0.1:6443" } }]
users: [{ name: u, user: { client-certificate: gone.pem } }]
contexts: [{ name: c, context: { cluster: c, user: u } }]
`;

test.each([
  ["a: [", "the kubeconfig is no YAML: "],
  ["[]", "the kubeconfig is malformed"],
  [pointing, "the kubeconfig's client-certificate cannot be read: ENOENT"],
])("%j is told as a fault of the kubeconfig", (text, message) => {
  const read = (): unknown => parseKubeconfig(text, "/nowhere");
  expect(read).toThrow(message);
  expect(read).toThrow(expect.objectContaining({ name: "KubeconfigError" }));
});

test("why a kubeconfig cannot be read is told", () => {
  expect(() => loadKubeconfig("/nowhere/kubeconfig.yaml")).toThrow(
    "cannot read the kubeconfig /nowhere/kubeconfig.yaml: ENOENT",
  );
});
