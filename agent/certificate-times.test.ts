import { expect, test } from "bun:test";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { parseCertificate } from "#shared/pki/certificate-facts.ts";
import { selfSignedServing } from "#shared/pki/self-signed.ts";
import { CertificateTimes } from "./certificate-times.ts";

const linesOf = (times: CertificateTimes): string[] =>
  renderPrometheus(times.families())
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));

test("what is left of certificates is told, and how often there was none to be had", async () => {
  const pair = await selfSignedServing(["board"], ["127.0.0.1"]);
  const end_ms = parseCertificate(pair.certificatePem).notAfter.getTime();
  let pem: string | undefined;
  const times = new CertificateTimes(() => pem, { wall_ms: () => end_ms - 60_000 });
  expect(linesOf(times)).toEqual([
    "kubelet_certificate_manager_client_ttl_seconds +Inf",
    "kubelet_certificate_manager_server_ttl_seconds +Inf",
    "kubelet_certificate_manager_client_expiration_renew_errors 0",
    "kubelet_server_expiration_renew_errors 0",
  ]);
  pem = pair.certificatePem;
  await times.serving(async () => pair);
  const refused = (): Promise<never> => Promise.reject(new Error("refused"));
  await expect(times.renewing(refused)).rejects.toThrow("refused");
  await expect(times.serving(refused)).rejects.toThrow("refused");
  expect(linesOf(times)).toEqual([
    "kubelet_certificate_manager_client_ttl_seconds 60",
    "kubelet_certificate_manager_server_ttl_seconds 60",
    "kubelet_certificate_manager_client_expiration_renew_errors 1",
    "kubelet_server_expiration_renew_errors 1",
  ]);
});
