"""One HTTP exchange: a request as bytes, a response as a reply, and what each way of failing means."""
