/** An HTTPS server that is asked by reviews, and a kubeconfig that names it. */
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";

export interface Asked {
  readonly review: { readonly apiVersion: string; readonly kind: string; readonly spec: Record<string, unknown> };
  /** The common name of the client's certificate. */
  readonly client: string | undefined;
  readonly authorization: string | undefined;
}

/** A status to answer with, an HTTP status, or no answer for as long as the server stands. */
export type Reply = object | number | "silence";

export interface ReviewWebhook {
  readonly asked: Asked[];
  reply: (review: Asked["review"]) => Reply;
  /** Kubeconfig of a client that shows a certificate. */
  readonly kubeconfig: string;
  stop(): Promise<void>;
}

export async function startReviewWebhook(kubeconfig: string): Promise<ReviewWebhook> {
  const authority = await createCertificateAuthority("webhook-ca");
  const names = { commonName: "webhook", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
  const serving = await issueCertificate(authority, names, [extendedKeyUsages.serverAuth]);
  const client = await issueCertificate(authority, { commonName: "the-api-server" }, [extendedKeyUsages.clientAuth]);
  const tls = { key: serving.keyPem, cert: serving.certificatePem, ca: authority.certificatePem };
  const asked: Asked[] = [];
  const webhook = { reply: (_review: Asked["review"]): Reply => ({ allowed: true }) };
  const http = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const review = JSON.parse(Buffer.concat(chunks).toString()) as Asked["review"];
    const subject = (request.socket as TLSSocket).getPeerCertificate?.()?.subject;
    asked.push({ review, client: subject?.CN?.toString(), authorization: request.headers.authorization });
    const reply = webhook.reply(review);
    if (reply === "silence") return;
    if (typeof reply === "number") return void response.writeHead(reply).end("not now");
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ apiVersion: review.apiVersion, kind: review.kind, status: reply }));
  });
  // Bun's HTTPS server shows no client certificates.
  const server = createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: false }, (socket) =>
    http.emit("connection", socket),
  );
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "webhook",
      contexts: [{ name: "webhook", context: { cluster: "webhook", user: "apiserver" } }],
      clusters: [
        {
          name: "webhook",
          cluster: {
            server: `https://127.0.0.1:${(server.address() as AddressInfo).port}/review`,
            "certificate-authority-data": base64(authority.certificatePem),
          },
        },
      ],
      users: [
        {
          name: "apiserver",
          user: {
            "client-certificate-data": base64(client.certificatePem),
            "client-key-data": base64(client.keyPem),
          },
        },
      ],
    }),
  );
  return Object.assign(webhook, {
    asked,
    kubeconfig,
    async stop() {
      http.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  });
}
