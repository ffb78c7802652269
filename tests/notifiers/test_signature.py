from twisted.trial.unittest import SynchronousTestCase

from tutumstream.notifiers.signature import signature, signing_key


class SignatureTests(SynchronousTestCase):
    def test_it_is_what_the_reference_implementations_compute(self) -> None:
        # The vector of the libraries' own tests: github.com/standard-webhooks/standard-webhooks, libraries/.
        key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        self.assertEqual(
            signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        )

    def test_a_secret_without_the_prefix_is_taken_as_it_is(self) -> None:
        self.assertEqual(signing_key("grüße"), "grüße".encode())
