// Two clients of the PeerJS server, by the `ws` package under Node: one sends an offer, the other gets it.
const { WebSocket } = require("ws");

const [port, host] = process.argv.slice(2);
const join = (id) =>
  new WebSocket(`ws://127.0.0.1:${port}/peerjs?key=peerjs&id=${id}&token=${id}`, { headers: { Host: host } });
const payload = "sdp ".repeat(20_000);
const ann = join("ann");
const bob = join("bob");
let opened = 0;
let ponged = false;

const onOpen = (text) => JSON.parse(text).type === "OPEN" && ++opened === 2;
const offer = () => ann.send(JSON.stringify({ type: "OFFER", dst: "bob", payload }));
ann.on("message", (text) => onOpen(text) && offer());
ann.on("pong", () => {
  ponged = true;
});
bob.on("message", (text) => {
  if (onOpen(text)) return offer();
  const message = JSON.parse(text);
  if (message.type !== "OFFER") return;
  ann.ping();
  const whole = message.src === "ann" && message.payload === payload;
  setTimeout(() => {
    ann.close(1000);
    bob.close(1000);
    console.log(JSON.stringify({ whole, ponged }));
  }, 200);
});
for (const socket of [ann, bob]) socket.on("error", (error) => console.error(error.message));
setTimeout(() => process.exit(1), 10_000).unref();
