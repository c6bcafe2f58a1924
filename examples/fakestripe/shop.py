import json
import re
import subprocess
import threading
import urllib.request

import stripe

# Start fakestripe. Its first line says where it listens.
fake = subprocess.Popen(["fakestripe", "-addr", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
base = re.search(r"http://[\d.]+:\d+", fake.stdout.readline()).group()
threading.Thread(target=fake.stdout.read, daemon=True).start()  # its log


def control(path, body):
    """The control plane takes JSON."""
    request = urllib.request.Request(base + "/_stripetest/" + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


stripe.api_key = "sk_test_123"
stripe.api_base = base
stripe.max_network_retries = 2
try:
    # Create and list, as with Stripe.
    customer = stripe.Customer.create(email="jenny@example.com", source="tok_visa")
    charge = stripe.Charge.create(amount=2000, currency="usd", customer=customer.id, capture=False)
    listed = stripe.Charge.list(customer=customer.id)
    print("listed:", len(listed.data), listed.data[0].status)

    # Objects with chosen ids and times.
    control("seed", {"path": "/v1/products", "ids": ["prod_mug", "prod_cup"], "first": "2026-01-31T12:00:00Z", "every": "1h", "params": {"name": "Seeded"}})
    print("seeded:", stripe.Product.retrieve("prod_cup").created)

    # The first response of the next request is lost. The client repeats the request.
    control("faults", {"route": "POST /v1/refunds", "first": 1, "effects": [{"drop": "before_response"}]})
    other = stripe.Charge.create(amount=500, currency="usd", source="tok_visa")
    refund = stripe.Refund.create(charge=other.id)
    print("refunded once:", refund.amount, len(stripe.Refund.list().data))

    # Eight days later the charge, which was not captured, has expired.
    control("clock", {"advance": "192h"})
    print("expired:", stripe.Charge.retrieve(charge.id).refunded)
finally:
    fake.terminate()
    fake.wait()
