import { join } from "node:path";
import { hasReason, isConflict } from "#shared/api/errors.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import type { Clock } from "#shared/client/clock.ts";
import type { Credentials } from "#shared/client/http-transport.ts";
import { type Log, silentLog } from "#shared/client/log.ts";
import { askForName, type JoinedBoard, joinCluster, nodeSubject } from "./board-join.ts";
import {
  certificateFingerprint,
  certificateSubject,
  type KeyAndCertificate,
  parseCertificate,
  renewalTime,
} from "./certificate.ts";
import { orderCertificate } from "./certificate-order.ts";
import { parseJoinToken } from "./join-token.ts";
import { joinPem, splitPem } from "./pem.ts";
import { readIfPresent, writeSecureFile } from "./secure-file.ts";
import { kubeletClientUsages, kubeletServingUsages, signerNames } from "./signers.ts";

export interface BoardIdentityOptions {
  /** Where the identity is kept: ca.crt, client.pem, serving.pem, board.json. */
  readonly folder: string;
  readonly servers: readonly string[];
  /** Needed for the first start, and when the certificate has run out or the card was copied. */
  readonly token?: string | undefined;
  readonly hostName: string;
  readonly boardSerial: string;
  readonly log?: Log | undefined;
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A board that may not or cannot join; the message says what to do. */
export class BoardIdentityError extends Error {
  override readonly name = "BoardIdentityError";
}

interface BoardFile {
  readonly nodeName: string;
  readonly boardSerial: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** Who a board is: its node's name and its certificates, kept in files so that it starts with the master gone. */
export class BoardIdentity {
  #credentials: Credentials;

  private constructor(
    private readonly options: BoardIdentityOptions,
    readonly nodeName: string,
    /** What the master says of the cluster. */
    readonly settings: Readonly<Record<string, string>>,
    readonly caCertificatePem: string,
    private client: KeyAndCertificate,
  ) {
    this.#credentials = credentialsOf(caCertificatePem, client);
  }

  /**
   * Loads the board's identity, or joins the cluster for one. A master that cannot be reached is no hindrance to a board
   * that has joined before. A board that runs from a copy of another board's card joins anew under its own name.
   */
  static async ensure(options: BoardIdentityOptions): Promise<BoardIdentity> {
    const log = options.log ?? silentLog;
    const stored = await loadBoard(options);
    if (stored === undefined) return BoardIdentity.#join(options, "this board has not joined a cluster yet");
    if (stored === "copied") {
      log.warn("this card was copied from another board: joining under a name of its own");
      return BoardIdentity.#join(options, "this card was copied from another board, whose identity it must not use");
    }
    if (stored === "expired") {
      log.warn("the board's certificate has run out while it was away: joining anew");
      return BoardIdentity.#join(options, "the board's certificate has run out while it was away");
    }
    const { board, caCertificatePem, client } = stored;
    if (isOfOtherCluster(options.token, caCertificatePem)) {
      log.warn("the join token is of another cluster than this board was in: joining that one");
      return BoardIdentity.#join(options, "the join token is of another cluster");
    }
    try {
      const answer = await askForName(options.servers, credentialsOf(caCertificatePem, client), options);
      return await BoardIdentity.#keep(options, { ...answer, caCertificatePem, client });
    } catch (error) {
      if (isConflict(error)) {
        log.warn("another board has this node's name: joining under a name of its own", { error });
        return BoardIdentity.#join(options, error instanceof Error ? error.message : String(error));
      }
      if (hasReason(error, "Unauthorized")) {
        log.warn("the cluster does not accept this board's certificate any more: joining anew", { error });
        return BoardIdentity.#join(options, "the cluster does not accept this board's certificate any more");
      }
      if (!(error instanceof ConnectionError)) throw error;
      log.info("no master can be reached: going on as before", { error });
      return new BoardIdentity(options, board.nodeName, board.settings, caCertificatePem, client);
    }
  }

  static async #join(options: BoardIdentityOptions, why: string): Promise<BoardIdentity> {
    const { token } = options;
    if (!token)
      throw new BoardIdentityError(
        `${why}, and no join token is given. Run \`bramble token create\` on the master and start this board with --token`,
      );
    return BoardIdentity.#keep(options, await joinCluster({ ...options, token }));
  }

  static async #keep(options: BoardIdentityOptions, joined: JoinedBoard): Promise<BoardIdentity> {
    const { folder, boardSerial } = options;
    const { nodeName, settings, caCertificatePem, client } = joined;
    const board: BoardFile = { nodeName, boardSerial, settings };
    await writeIfChanged(join(folder, "ca.crt"), caCertificatePem, 0o644);
    await writeIfChanged(join(folder, "client.pem"), joinPem(client));
    // Last: a start that finds it finds everything.
    await writeIfChanged(join(folder, "board.json"), `${JSON.stringify(board, undefined, 2)}\n`);
    return new BoardIdentity(options, nodeName, settings, caCertificatePem, client);
  }

  /** For HttpClient and the MQTT client; another object after a renewal. */
  readonly credentials = (): Credentials => this.#credentials;

  /** When `renew` should be called. */
  get renewAt(): Date {
    return renewalTime(this.client.certificatePem);
  }

  /** Gets a new client certificate by the old one, and keeps it. */
  async renew(client: Client): Promise<void> {
    const { signal, clock, folder } = this.options;
    this.client = await orderCertificate(client, {
      signer: signerNames.kubeletClient,
      usages: kubeletClientUsages,
      subject: nodeSubject(this.nodeName),
      namePrefix: `board-${this.nodeName}`,
      signal,
      clock,
    });
    await writeSecureFile(join(folder, "client.pem"), joinPem(this.client));
    this.#credentials = credentialsOf(this.caCertificatePem, this.client);
  }

  /** The kubelet's serving certificate for these addresses: the one on disk while it fits, else a new one. The Node must
   *  have the addresses in its status, or the request waits for somebody to approve it. */
  async servingCertificate(
    client: Client,
    addresses: { readonly hostNames: readonly string[]; readonly ips: readonly string[] },
    now: Date = new Date(),
  ): Promise<KeyAndCertificate> {
    const path = join(this.options.folder, "serving.pem");
    const stored = await readIfPresent(path);
    const present = stored === undefined ? undefined : splitPem(stored);
    if (present && this.#serves(present, addresses, now)) return present;
    const made = await orderCertificate(client, {
      signer: signerNames.kubeletServing,
      usages: kubeletServingUsages,
      subject: { ...nodeSubject(this.nodeName), dnsNames: addresses.hostNames, ipAddresses: addresses.ips },
      namePrefix: `serving-${this.nodeName}`,
      signal: this.options.signal,
      clock: this.options.clock,
    });
    await writeSecureFile(path, joinPem(made));
    return made;
  }

  #serves(
    { certificatePem }: KeyAndCertificate,
    addresses: { readonly hostNames: readonly string[]; readonly ips: readonly string[] },
    now: Date,
  ): boolean {
    const { commonName, dnsNames, ipAddresses } = certificateSubject(certificatePem);
    return (
      commonName === nodeSubject(this.nodeName).commonName &&
      renewalTime(certificatePem) > now &&
      addresses.hostNames.every((name) => dnsNames.includes(name)) &&
      addresses.ips.every((ip) => ipAddresses.includes(ip))
    );
  }
}

const isOfOtherCluster = (token: string | undefined, caCertificatePem: string): boolean =>
  Boolean(token) && parseJoinToken(token ?? "").caHash !== certificateFingerprint(caCertificatePem);

const credentialsOf = (ca: string, { certificatePem, keyPem }: KeyAndCertificate): Credentials => ({
  ca,
  certificate: certificatePem,
  key: keyPem,
});

interface StoredBoard {
  readonly board: BoardFile;
  readonly caCertificatePem: string;
  readonly client: KeyAndCertificate;
}

async function loadBoard(options: BoardIdentityOptions): Promise<StoredBoard | "copied" | "expired" | undefined> {
  const { folder } = options;
  const [boardText, caCertificatePem, clientText] = await Promise.all(
    ["board.json", "ca.crt", "client.pem"].map((file) => readIfPresent(join(folder, file))),
  );
  const client = clientText === undefined ? undefined : splitPem(clientText);
  if (boardText === undefined || caCertificatePem === undefined || !client) return undefined;
  const board = JSON.parse(boardText) as BoardFile;
  if (board.boardSerial !== options.boardSerial) return "copied";
  const now_ms = options.clock?.wall_ms() ?? Date.now();
  if (parseCertificate(client.certificatePem).notAfter.getTime() <= now_ms) return "expired";
  return { board, caCertificatePem, client };
}

async function writeIfChanged(path: string, text: string, mode = 0o600): Promise<void> {
  if ((await readIfPresent(path)) !== text) await writeSecureFile(path, text, mode);
}
