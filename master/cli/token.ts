import { createHash, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { connect } from "node:tls";
import { isNotFound } from "#shared/api/errors.ts";
import { secrets } from "#shared/api/resources.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { outOfUrl } from "#shared/http/host-port.ts";
import { createJoinToken, formatJoinToken, parseJoinToken } from "#shared/pki/join-token.ts";
import { knownMembers } from "../etcd/files.ts";
import { bootstrapSecret, deleteBootstrapToken, listBootstrapTokens } from "../join/bootstrap-secret.ts";
import { nodeNameFrom } from "../join/node-name.ts";
import { adminAccess, UserError } from "./admin-client.ts";

export interface CreateTokenOptions {
  readonly kubeconfig: string;
  readonly dataDir: string;
  /** Seconds; 0: no end. */
  readonly ttl: number;
  readonly description: string;
  readonly printJoin?: boolean | undefined;
  /** For a further master: it opens all of the cluster's keys. */
  readonly master?: boolean | undefined;
  /** The name of the only board that may join by it. */
  readonly board?: string | undefined;
}

/** `bramble token create`: the token alone on stdout, or the line to run on the joining board. */
export async function createToken(options: CreateTokenOptions): Promise<void> {
  if (options.master && options.printJoin && knownMembers(options.dataDir).length === 0)
    throw new UserError(
      "--print-join prints a line for masters where Bramble itself runs their etcd (--store etcd); see install.sh for others",
    );
  const { board } = options;
  if (board !== undefined && options.master) throw new UserError("--board makes a token for a board, not for a master");
  if (board !== undefined && board !== nodeNameFrom(board))
    throw new UserError(`--board: expected the name of a node, such as ${nodeNameFrom(board)}, got ${board}`);
  const { client, config, server } = adminAccess(options.kubeconfig);
  const { ca, serverName } = config.credentials();
  if (ca === undefined)
    throw new UserError(`${options.kubeconfig} holds no CA certificate, so no token can be bound to it`);
  const token = createJoinToken(ca);
  const expiresAt = options.ttl === 0 ? undefined : new Date(Date.now() + options.ttl * 1000);
  const purpose = options.master ? "master" : "board";
  await client.create(secrets, bootstrapSecret(token, { purpose, board, description: options.description, expiresAt }));
  const text = formatJoinToken(token);
  const role = options.master ? " INSTALL_BRAMBLE_EXEC=master" : "";
  console.log(options.printJoin ? await joinLine({ server, serverName, ca }, text, role) : text);
}

/** `bramble token list`. */
export async function listTokens(options: { readonly kubeconfig: string }): Promise<void> {
  const tokens = await listBootstrapTokens(adminAccess(options.kubeconfig).client);
  console.log(["ID", "FOR", "EXPIRES", "DESCRIPTION"].join("\t"));
  for (const { id, purpose, board, expiresAt, description } of tokens) {
    console.log(
      [id, board === undefined ? purpose : `board ${board}`, expiresAt?.toISOString() ?? "never", description].join(
        "\t",
      ),
    );
  }
}

/** `bramble token delete`, or `revoke`. Rejects with UserError when there is no such token. */
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

/** `bramble token rotate`: another token in the place of the one in the master's file, which is good no more. */
export async function rotateToken(options: { readonly kubeconfig: string; readonly dataDir: string }): Promise<void> {
  const { client } = adminAccess(options.kubeconfig);
  const path = join(options.dataDir, "token");
  const present = await readIfPresent(path);
  const authority = await readIfPresent(join(options.dataDir, "pki/ca.crt"));
  if (present === undefined || authority === undefined)
    throw new UserError(`${path} is not there: run this on a master as root`);
  const token = createJoinToken(authority);
  await client.create(secrets, bootstrapSecret(token, { description: "the permanent one of a master" }));
  // From here on a start of the master takes the new one for good; the former ends last.
  await writeSecureFile(path, `${formatJoinToken(token)}\n`);
  await deleteBootstrapToken(client, parseJoinToken(present).id).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
  });
  console.log(formatJoinToken(token));
}

/** Where the line leads, and by what it proves itself before it is pinned. */
interface Master {
  readonly server: string;
  readonly serverName: string | undefined;
  readonly ca: string;
}

/**
 * curl cannot know the cluster's CA yet, so it pins the server's public key; the agent then checks the CA by the hash
 * in the token.
 */
async function joinLine(master: Master, token: string, role: string): Promise<string> {
  const { server } = master;
  const pin = await serverPin(master);
  return `curl -sSfk --pinnedpubkey 'sha256//${pin}' ${server}/install.sh | sudo BRAMBLE_URL=${server} BRAMBLE_PIN='${pin}' BRAMBLE_TOKEN=${token}${role} sh -`;
}

/** SHA-256 of the serving key, in curl's form. The certificate is checked against the CA first. */
async function serverPin({ server, serverName, ca }: Master): Promise<string> {
  const url = new URL(server);
  const host = outOfUrl(url.hostname);
  const der = await new Promise<Buffer>((resolve, reject) => {
    const socket = connect({
      host,
      port: Number(url.port || 443),
      ca,
      ALPNProtocols: ["http/1.1"],
      ...(serverName ? { servername: serverName } : {}),
    });
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
