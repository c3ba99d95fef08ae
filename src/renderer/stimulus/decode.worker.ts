// Decodes images off the thread that draws. Knows nothing but decode.ts.
import { decodeImage, type TicketedAnswer, type TicketedJob } from "./decode.ts";

self.onmessage = (message: MessageEvent<TicketedJob>) => {
  const { imageId, ticket } = message.data;
  decodeImage(message.data).then(
    (bitmap) => answer({ imageId, ticket, bitmap, problem: null }, [bitmap]),
    (error: unknown) => answer({ imageId, ticket, bitmap: null, problem: String(error) }, []),
  );
};

function answer(reply: TicketedAnswer, transfer: Transferable[]): void {
  self.postMessage(reply, { transfer });
}
