import type { BunPlugin } from "bun";

/** What dockerode loads for engines reached over SSH and for image builds with registry credentials. An agent talks to its
 *  own board's socket and builds nothing; loaded all the same they cost every board 10 MB. */
const unused = ["ssh2", "@grpc/grpc-js", "@grpc/proto-loader"];

/** Leaves them out of the binary: an empty module stands in for each. */
export const withoutUnusedDockerParts: BunPlugin = {
  name: "without unused parts of dockerode",
  setup(build) {
    const names = new RegExp(`^(${unused.join("|")})$`);
    build.onResolve({ filter: names }, ({ path }) => ({ path, namespace: "unused" }));
    build.onLoad({ filter: /.*/, namespace: "unused" }, () => ({ contents: "module.exports = {};", loader: "js" }));
  },
};
