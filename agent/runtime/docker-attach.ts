import { Duplex } from "node:stream";
import type Docker from "dockerode";

/**
 * The connection to a container's main process. Asked for without a body: dockerode would repeat the options in one, which
 * Docker ignores and Podman hands to the process as its input.
 */
export function openAttachment(
  docker: Docker,
  id: string,
  streams: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean },
): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const query = new URLSearchParams({ stream: "true" });
  for (const name of ["stdin", "stdout", "stderr"] as const) query.set(name, String(streams[name]));
  docker.modem.dial(
    {
      // The client library cuts off the last letter of an address without further options.
      path: `/containers/${id}/attach?${query}&`,
      method: "POST",
      isStream: true,
      hijack: true,
      // An empty body that is said to be empty, so that the request goes out whole before the connection is taken over.
      file: Buffer.alloc(0),
      statusCodes: { 200: true, 404: "no such container", 409: "container is not running", 500: "server error" },
    },
    (error: Error | null, connection: unknown) => {
      if (error !== null) reject(error);
      else if (connection instanceof Duplex) resolve(connection);
      else reject(new Error("the connection to the container cannot be written to"));
    },
  );
  return promise;
}
