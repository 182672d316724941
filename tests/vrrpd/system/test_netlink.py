"""Questions to the kernel, with a socket that the test answers."""

import errno
import struct

import pytest

from vrrpd.system.messages import NLMSG_DONE, NLMSG_ERROR, ifinfmsg
from vrrpd.system.netlink import RouteSocket
from vrrpd.system.rtnl import NLM_F_DUMP_INTR, RTM_NEWLINK, encode


class Kernel:
    """In the place of the netlink socket; `answers` are made of the sequence number that was asked with."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sequence = 0

    def send(self, data):
        self.sequence = struct.unpack_from("=I", data, 8)[0]

    def recv(self, size):
        return self.answers.pop(0)(self.sequence)

    def close(self):
        pass


def link(index):
    def made(sequence):
        message = encode(ifinfmsg(), RTM_NEWLINK, 0, index=index)
        struct.pack_into("=I", message, 8, sequence)
        return bytes(message)

    return made


def done(sequence):
    return struct.pack("=IHHIIi", 20, NLMSG_DONE, 0, sequence, 0, 0)


def late(answer):
    return lambda sequence: answer(sequence - 1)


def refused(sequence):
    return struct.pack("=IHHIIi", 20, NLMSG_ERROR, 0, sequence, 0, -errno.EPERM)


def asked(*answers):
    sock = RouteSocket()
    sock.close()
    sock._socket = Kernel(*answers)
    return [found.index for found in sock.links()]


def test_interfaces_are_read_until_the_kernel_is_done():
    assert asked(link(1), link(2), done) == [1, 2]


def test_late_answers_to_a_request_that_was_given_up_are_passed_by():
    assert asked(late(refused), link(1), late(done), late(link(7)), link(2), done) == [1, 2]


def failed(sequence):
    return struct.pack("=IHHIIi", 20, NLMSG_DONE, 0, sequence, 0, -errno.ENOMEM)


def test_an_answer_that_fails_is_asked_for_again_as_a_whole():
    assert asked(link(7), failed, refused, link(1), link(2), done) == [1, 2]


def torn(answer):
    """The host has changed since the kernel began to tell."""

    def made(sequence):
        message = bytearray(answer(sequence))
        struct.pack_into("=H", message, 6, NLM_F_DUMP_INTR)
        return bytes(message)

    return made


def test_an_answer_during_which_the_host_changed_is_asked_for_again():
    assert asked(torn(link(7)), link(8), done, link(9), torn(done), link(1), link(2), done) == [1, 2]
    with pytest.raises(OSError, match="changed meanwhile") as told:
        asked(*(torn(link(7)), done) * 3)
    assert told.value.errno == errno.EINTR


def test_a_kernel_that_does_not_tell_is_no_host_without_interfaces():
    with pytest.raises(OSError, match="does not tell") as told:
        asked(refused, link(1), failed, refused)
    assert told.value.errno == errno.EPERM
