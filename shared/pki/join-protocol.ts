/**
 * How a board joins, all over HTTPS to an API server:
 *
 *   1. GET /cacerts, without trust: the CA's PEM. Its hash must be the one in the join token, else nothing more is sent.
 *      While the CA is rotated there are several, of which only the token's is trusted at first.
 *   2. POST /bramble/v1/join with the token: the board says its host name and serial, the master answers the node's name.
 *   3. A CertificateSigningRequest for `system:node:<name>`, approved and signed by the controllers.
 *
 * On later starts step 2 is asked again with the board's certificate: a card that was copied to another board has the
 * certificate of the first, but not its serial, and is told to join anew under a name of its own.
 */
/**
 * Stands in the certificate of every API server, and in no board's: boards get their own serving certificates of the same CA, for any
 * address that is free, the one that a master had yesterday for instance. So by this name, not by the address, a board knows its masters.
 */
export const apiServerName = "kubernetes";

export const joinPath = "/bramble/v1/join";
export const caPath = "/cacerts";

export interface JoinRequest {
  /** What the board calls itself; becomes the node's name if no other board has it. */
  readonly hostName: string;
  /** Of the board, not of its card: the Pi's serial number, or what else names the hardware. */
  readonly boardSerial: string;
}

export interface JoinAnswer {
  readonly nodeName: string;
  /** What the board needs to know of the cluster, by name of the setting: `clusterDomain`, `clusterDns`, … */
  readonly settings: Readonly<Record<string, string>>;
}
