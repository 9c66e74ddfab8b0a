import { expect, test } from "bun:test";
import { renderKubeconfig } from "../pki/kubeconfig.ts";
import { parseKubeconfig } from "./kubeconfig.ts";

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
