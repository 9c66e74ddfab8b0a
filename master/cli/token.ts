import { createHash, X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { isNotFound } from "#shared/api/errors.ts";
import { secrets } from "#shared/api/resources.ts";
import { createJoinToken, formatJoinToken } from "#shared/pki/join-token.ts";
import { bootstrapSecret, deleteBootstrapToken, listBootstrapTokens } from "../join/bootstrap-secret.ts";
import { adminAccess, UserError } from "./admin-client.ts";

export interface CreateTokenOptions {
  readonly kubeconfig: string;
  /** Seconds, as text; 0: no end. */
  readonly ttl: string;
  readonly description: string;
  readonly printJoin?: boolean | undefined;
  /** For a further master: it opens all of the cluster's keys. */
  readonly master?: boolean | undefined;
}

/** `bramble token create`: the token alone on stdout, or the line to run on the joining board. */
export async function createToken(options: CreateTokenOptions): Promise<void> {
  const ttl_s = Number(options.ttl);
  if (!Number.isInteger(ttl_s) || ttl_s < 0) throw new UserError(`--ttl: expected whole seconds, got ${options.ttl}`);
  if (options.master && options.printJoin)
    throw new UserError("--print-join prints the line for boards, not for masters");
  const { client, config, server } = adminAccess(options.kubeconfig);
  const ca = config.credentials().ca;
  if (ca === undefined)
    throw new UserError(`${options.kubeconfig} holds no CA certificate, so no token can be bound to it`);
  const token = createJoinToken(ca);
  const expiresAt = ttl_s === 0 ? undefined : new Date(Date.now() + ttl_s * 1000);
  const purpose = options.master ? "master" : "board";
  await client.create(secrets, bootstrapSecret(token, { purpose, description: options.description, expiresAt }));
  const text = formatJoinToken(token);
  console.log(options.printJoin ? await joinLine(server, text, ca) : text);
}

export async function listTokens(options: { readonly kubeconfig: string }): Promise<void> {
  const { client } = adminAccess(options.kubeconfig);
  console.log(["ID", "FOR", "EXPIRES", "DESCRIPTION"].join("\t"));
  for (const { id, purpose, expiresAt, description } of await listBootstrapTokens(client)) {
    console.log([id, purpose, expiresAt?.toISOString() ?? "never", description].join("\t"));
  }
}

export async function deleteToken(id: string, options: { readonly kubeconfig: string }): Promise<void> {
  const { client } = adminAccess(options.kubeconfig);
  try {
    await deleteBootstrapToken(client, id);
  } catch (error) {
    if (isNotFound(error)) throw new UserError(`no token has the id ${id}; \`bramble token list\` shows them`);
    throw error;
  }
  console.log(`token ${id} deleted; boards that joined with it stay`);
}

/**
 * curl cannot know the cluster's CA yet, so it pins the server's public key; the agent then checks the CA by the hash
 * in the token.
 */
async function joinLine(server: string, token: string, ca: string): Promise<string> {
  const pin = await serverPin(server, ca);
  return `curl -sfk --pinnedpubkey 'sha256//${pin}' ${server}/install.sh | sudo BRAMBLE_URL=${server} BRAMBLE_PIN='${pin}' BRAMBLE_TOKEN=${token} sh -`;
}

/** SHA-256 of the serving key, in curl's form. The certificate is checked against the CA first. */
async function serverPin(server: string, ca: string): Promise<string> {
  const url = new URL(server);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const der = await new Promise<Buffer>((resolve, reject) => {
    const socket = connect({ host, port: Number(url.port || 443), ca, ALPNProtocols: ["http/1.1"] });
    socket.once("secureConnect", () => {
      resolve(socket.getPeerCertificate().raw);
      socket.destroy();
    });
    socket.once("error", (error) =>
      reject(new UserError(`cannot reach ${server}: ${error.message}. Is the master running?`)),
    );
  });
  const key = new X509Certificate(der).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}
